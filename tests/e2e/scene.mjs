// A workspace and a history as a person has them: what the pages are looked at with.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./desk.mjs";

const MAIN = `use std::io;

fn main() -> io::Result<()> {
    let name = "world";
    println!("Hello, {name}!");
    Ok(())
}
`;

/** Fills the workspace with a small repository that has changes. */
export function makeRepository(desk) {
  const write = (name, text) => {
    const path = join(desk.workspace, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
  };
  desk.git("init", "--quiet", "--initial-branch=main");
  desk.git("config", "user.name", "Ada Example");
  desk.git("config", "user.email", "ada@example.invalid");
  write("README.md", "# Weather station\n\nReads the sensors, keeps a week of it.\n");
  write("src/main.rs", MAIN);
  write("src/sensor.rs", "pub fn read() -> f32 {\n    21.5\n}\n");
  write("old-notes.txt", "to be removed\n");
  desk.git("add", ".");
  desk.git("commit", "--quiet", "-m", "Read the first sensor");
  write("src/store.rs", "//! Keeps a week of readings.\n\npub struct Store {\n    readings: Vec<f32>,\n}\n");
  desk.git("add", ".");
  desk.git("commit", "--quiet", "-m", "Keep a week of readings\n\nA ring of 10,080 minutes: the oldest one gives way.");
  write("src/main.rs", MAIN.replace("world", "station").replace("Ok(())", "sensor::read();\n    Ok(())"));
  write("src/sensor.rs", "/// Degrees Celsius.\npub fn read() -> f32 {\n    let raw = 215;\n    raw as f32 / 10.0\n}\n");
  write("src/config.rs", "pub const INTERVAL: u64 = 60;\n");
  desk.git("add", "src/config.rs");
  desk.git("rm", "--quiet", "old-notes.txt");
  write("notes.txt", "calibrate on Friday\n");
}

/** What a build prints, in colours. */
export const BUILD = String.raw`
echo "building the station"
for crate in serde tokio axum tracing rusqlite station; do printf '\033[1;32m   Compiling\033[0m %s v1.0\n' $crate; done
printf '\033[1;33mwarning\033[0m\033[1m: unused variable: \`raw\`\033[0m\n'
printf '\033[1;34m --> \033[0msrc/sensor.rs:3:9\n'
printf '\033[1;34m  |\033[0m\n\033[1;34m3 |\033[0m     let raw = 215;\n\033[1;34m  |\033[0m         \033[1;33m^^^\033[0m help: if this is intentional, prefix it with an underscore\n'
printf '\033[1;32m    Finished\033[0m in 3.21s\n'
`;

const TESTS = String.raw`
echo "running 24 tests"
for i in $(seq 1 23); do printf 'test readings::case_%02d ... \033[32mok\033[0m\n' $i; done
printf 'test store::keeps_a_week ... \033[31mFAILED\033[0m\n'
echo "thread 'store::keeps_a_week' panicked at src/store.rs:41: left: 10079, right: 10080" >&2
printf 'test result: \033[31mFAILED\033[0m. 23 passed; 1 failed\n'
exit 101`;

/** Gives the device a past, by several callers. */
export async function makeHistory(desk) {
  const assistants = ["claude", "ci", "phone"].map((name) => {
    const made = JSON.parse(desk.cli("--json", "keys", "create", name));
    return { "x-api-key": made.secret };
  });
  const [claude, ci, phone] = assistants;
  const dir = desk.workspace;
  const run = (action, headers) =>
    desk.call("POST", "/api/tasks", { action: { working_dir: dir, ...action } }, { prefer: "wait=40", ...headers });
  const git = (command, who) => run({ type: "git", command }, who);
  const shell = (command, who) => run({ type: "shell", command }, who);
  await git("git branch --show-current", phone);
  await shell("ls -la", claude);
  await shell("df -h . | tail -1", phone);
  await git("git log --oneline -5", claude);
  await shell("grep -rn 'INTERVAL' src", claude);
  await shell("test -e Cargo.lock || { echo 'no Cargo.lock here' >&2; exit 1; }", ci);
  await shell(TESTS, ci);
  await shell("wc -l src/*.rs", claude);
  const status = await git("git status", phone);
  const log = await git("git log", claude);
  const build = await shell(BUILD, ci);
  const diff = await git("git diff HEAD", claude);
  return { status, log, build, diff, headers: { claude, ci, phone } };
}

/** Gives the device things to do by itself; one of them is slower than it is often. */
export async function makeSchedules(desk) {
  const add = (name, when, line, ...more) =>
    desk.cli("schedules", "add", name, when, "--cwd", desk.workspace, ...more, "--line", line);
  add("backup", "every(1 second)", "sleep 2; exit 3");
  add("report", "cron(0 9 * * 1-5)", "make report | mail -s Weather ada@example.invalid", "--time-zone", "Europe/Berlin", "--missed", "once");
  add("calibrate", "every(1 week)", "test -e notes.txt");
  desk.cli("schedules", "run", "calibrate");
  await eventually("runs ended and were left out", () => {
    const [backup, calibrate] = JSON.parse(desk.cli("--json", "schedules", "list"));
    return backup.n_left_out >= 2 && calibrate.last_run.status === "completed";
  });
  desk.cli("schedules", "disable", "backup");
}
