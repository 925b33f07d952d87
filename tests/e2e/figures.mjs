// Measures the viewer against a real relay and agent, and prints what it saw: how soon the end of a task
// reaches an open window and a question its card, how long frames take while a hundred tasks print, and how fast a store of a
// hundred thousand tasks is listed and searched. Absolute times are figures, not tests.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connected, eventually, openViewer, startBrowser, startDesk } from "./desk.mjs";

const browser = await startBrowser();
const say = (what, figures) => console.log(`${what}: ${JSON.stringify(figures)}`);

function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] * 10) / 10;
  return { n: sorted.length, p50: at(0.5), p95: at(0.95), max: at(1) };
}

/** Has the page note in `seen` when an element first holds both texts. */
function watchFor(page, selector, ...texts) {
  return page.evaluate(([selector, texts]) => {
    globalThis.seen = new Promise((resolve) => {
      const look = () => {
        const has = (element) => texts.every((text) => element.textContent.includes(text));
        if ([...document.querySelectorAll(selector)].some(has)) resolve(performance.timeOrigin + performance.now());
      };
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
  }, [selector, texts]);
}

async function questions() {
  const desk = await startDesk();
  desk.cli("workspaces", "add", desk.workspace, "--level", "ask");
  const made = JSON.parse(desk.cli("--json", "keys", "create", "claude"));
  const { page, context } = await openViewer(browser, desk);
  await desk.run({ type: "echo", text: "first" });
  await connected(page);
  const times = [];
  for (let i = 0; i < 40; i += 1) {
    const command = `test -e question-${i}`;
    await watchFor(page, "section.question", command);
    const action = { type: "shell", command, working_dir: desk.workspace };
    const { uid } = await desk.call("POST", "/api/tasks", { action }, { "x-api-key": made.secret });
    const seen = await page.evaluate(() => globalThis.seen);
    const { events } = await desk.ask({ type: "events", task_id: uid, after: 0 });
    times.push(seen - Date.parse(events.find(({ kind }) => kind.type === "approval_requested").at));
    await desk.call("POST", `/api/tasks/${uid}/approval`, { answer: "no" });
  }
  say("question to its card in the window, ms", summary(times));
  await context.close();
  await desk.stop();
}

async function ends() {
  const desk = await startDesk();
  const { page, context } = await openViewer(browser, desk);
  await desk.run({ type: "echo", text: "first" });
  await connected(page);
  const times = [];
  for (let i = 0; i < 40; i += 1) {
    const go = join(desk.workspace, `go-${i}`);
    const task = await desk.submit({
      type: "shell",
      command: `while [ ! -e ${go} ]; do sleep 0.01; done`,
      title: undefined,
      working_dir: desk.workspace,
    }, { title: `wait ${i}` });
    const row = page.getByRole("option").filter({ hasText: new RegExp(`wait ${i}\\b`) });
    await row.getByText("running").waitFor({ state: "attached" });
    await watchFor(page, "[role=option]", `wait ${i}`, "done");
    writeFileSync(go, "");
    const seen = await page.evaluate(() => globalThis.seen);
    const ended = await desk.call("GET", `/api/tasks/${task.uid}`);
    times.push(seen - Date.parse(ended.completed_at));
  }
  say("task end to window, ms", summary(times));
  await context.close();
  await desk.stop();
}

async function streams() {
  const desk = await startDesk({ config: `[agent]\nmax_tasks = ${process.env.MAX_TASKS ?? 100}\n` });
  await desk.run({ type: "echo", text: "first" });
  const { page, context } = await openViewer(browser, desk);
  await connected(page);
  // A hundred lines of a hundred bytes a second each: one megabyte a second in all.
  const line = "x".repeat(99);
  const command = `for i in $(seq 1 600); do for j in 1 2 3 4 5 6 7 8 9 10; do echo ${line}; echo ${line}; done; sleep 0.2; done`;
  const uids = [];
  for (let i = 0; i < 100; i += 1) {
    const task = await desk.submit({ type: "shell", command, working_dir: desk.workspace }, { title: `stream ${i}` });
    uids.push(task.uid);
  }
  await eventually("all of them run", async () => {
    const status = await desk.ask({ type: "status" });
    return status.n_running >= Math.min(100, Number(process.env.MAX_TASKS ?? 100));
  });
  // One of them is watched in its terminal while all are in the list.
  await page.evaluate((uid) => (location.hash = `#/tasks/${uid}`), uids[50]);
  await page.getByRole("region", { name: "Lines of output" }).waitFor();
  await browser.startTracing(page, { categories: ["devtools.timeline", "toplevel", "__metadata"] });
  await page.evaluate(() => {
    globalThis.frames = [];
    let before = performance.now();
    const next = (now) => {
      globalThis.frames.push(now - before);
      before = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  await page.waitForTimeout(10_000);
  const frames = await page.evaluate(() => globalThis.frames);
  const trace = JSON.parse((await browser.stopTracing()).toString());
  const pids = new Set(trace.traceEvents.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => `${e.pid}:${e.tid}`));
  const tasks = trace.traceEvents.filter((e) => /RunTask$/.test(e.name) && e.ph === "X" && pids.has(`${e.pid}:${e.tid}`)).map((e) => e.dur / 1000);
  const nBytes = await Promise.all([uids[0], uids[50], uids[99]].map(async (uid) => (await desk.ask({ type: "output", task_id: uid, stream: "stdout", offset: 0, limit: 1 })).total));
  say("100 streams, time between frames, ms", summary(frames));
  say("100 streams, longest tasks of the page in Chromium's trace, ms", summary(tasks.filter((ms) => ms > 1)));
  say("100 streams, bytes printed by three of them so far", nBytes);
  for (const uid of uids) await desk.call("POST", `/api/tasks/${uid}/cancel`);
  await context.close();
  await desk.stop();
}

/** Fills a store as if the device had done a hundred thousand tasks. */
function fill(home, n) {
  execFileSync("python3", [join(import.meta.dirname, "fill-store.py"), join(home, "agent.db"), String(n)], { stdio: "inherit" });
}

async function store() {
  const first = await startDesk();
  await first.run({ type: "echo", text: "first" });
  await first.stop({ keep: true });
  fill(first.home, 100_000);
  const desk = await startDesk({ root: first.root, port: first.port });
  const indexed = performance.now();
  // A store of that size is made searchable once, when this version first opens it.
  await eventually("everything is searchable", async () => {
    const found = await desk.ask({ type: "search_tasks", text: "needle099999" });
    return found.hits?.length === 1;
  }, 600_000);
  say("100,000 tasks made searchable after the start, s", Math.round((performance.now() - indexed) / 100) / 10);
  const time = async (request) => {
    const times = [];
    for (let i = 0; i < 20; i += 1) {
      const began = performance.now();
      await desk.ask(typeof request === "function" ? request(i) : request);
      times.push(performance.now() - began);
    }
    return summary(times);
  };
  const list = { type: "list_tasks", limit: 100, skip: 0, count: true };
  say("list, over HTTP, ms", await time(list));
  say("list at a place in the middle, ms", await time((i) => ({ ...list, skip: 50_000 + i * 100 })));
  say("list, filtered, ms", await time({ ...list, success: false, caller: "ci" }));
  say("search, one hit, ms", await time((i) => ({ type: "search_tasks", text: `needle0${10_000 + i}` })));
  say("search, every tenth task, ms", await time({ type: "search_tasks", text: "linking warning" }));
  say("search, every task, ms", await time({ type: "search_tasks", text: "build" }));
  say("search, two letters, ms", await time({ type: "search_tasks", text: "ne" }));
  say("statistics of 30 days, ms", await time({ type: "statistics", hours: 720 }));

  const { page, context } = await openViewer(browser, desk);
  await page.locator("[role=option]").first().waitFor();
  const opens = [];
  for (let i = 0; i < 10; i += 1) {
    await page.evaluate(() => (location.hash = "#/about"));
    await page.getByText("MIT or Apache").waitFor();
    opens.push(await page.evaluate(async () => {
      const began = performance.now();
      location.hash = "#/tasks";
      while (!document.querySelector("[role=option]")) await new Promise((next) => requestAnimationFrame(next));
      return performance.now() - began;
    }));
  }
  say("list opened in the page, ms", summary(opens));
  const searches = [];
  for (let i = 0; i < 10; i += 1) {
    searches.push(await page.evaluate(async (text) => {
      const field = document.querySelector("input[type=search]");
      field.value = text;
      const began = performance.now();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      while (![...document.querySelectorAll("[role=option]")].some((option) => option.textContent.includes(text))) {
        await new Promise((next) => requestAnimationFrame(next));
      }
      return performance.now() - began;
    }, `needle0${20_000 + i}`));
  }
  say("search in the page, with 120 ms of waiting for more letters, ms", summary(searches));
  await context.close();
  await desk.stop();
}

const parts = { ends, questions, streams, store };
for (const [name, measure] of Object.entries(parts)) {
  if (process.argv.length < 3 || process.argv.includes(name)) await measure();
}
await browser.close();
