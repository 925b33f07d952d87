// What only the computer's own window does, against a real agent.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connected, eventually, forAll, openViewer } from "./desk.mjs";
import { makeRepository } from "./scene.mjs";
import { openWindow } from "./window.mjs";

let browser;
let desk;
forAll((made) => ({ browser, desk } = made), makeRepository);

const detail = (page) => page.getByRole("article", { name: "Task" });
const command = (page) => page.getByRole("textbox", { name: "Command" });

describe("the window", () => {
  test("runs its first task, and what is typed into it", async () => {
    const { page, faults } = await openWindow(browser, desk);
    await connected(page);
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByText("It works").waitFor();
    await page.getByRole("region", { name: "Lines of output" }).getByText("notes.txt").waitFor();

    // The way to the first task stays until the page is opened again.
    await page.reload();
    await connected(page);
    await command(page).fill("printf 'one\\ntwo\\n' | wc -l");
    await command(page).press("Enter");
    await detail(page).getByText("done", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Lines of output" }).getByText("2").waitFor();
    const { tasks } = await desk.ask({ type: "list_tasks", limit: 10, skip: 0, count: false });
    assert.deepEqual(tasks.map(({ source, caller }) => `${source} of ${caller}`), ["viewer of owner", "viewer of owner"]);
    // The relay hears of it.
    await eventually("the relay has it", async () => {
      const task = await desk.call("GET", `/api/tasks/${tasks[0].uid}`);
      return task.status === "completed" && task.source === "viewer";
    });

    const before = page.url();
    await page.getByRole("button", { name: "Run again" }).click();
    await eventually("the same is asked again", () => page.url() !== before);
    await detail(page).getByText("done", { exact: true }).waitFor();
    await command(page).press("ArrowUp");
    assert.equal(await command(page).inputValue(), "printf 'one\\ntwo\\n' | wc -l");
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("connects an assistant: its key is shown once, is good, and its first task is announced", async () => {
    const { page, faults } = await openWindow(browser, desk, { hash: "#/connect" });
    await connected(page);
    await page.getByRole("button", { name: "Codex" }).click();
    await page.getByText("Nothing has come from codex yet").waitFor();
    await page.getByLabel("Only to read").check();
    await page.getByRole("button", { name: "Make a key" }).click();
    const shown = page.getByText(/^dh_\w+_\w+$/);
    const key = await shown.innerText();
    await page.getByText(`DESKHAND_API_KEY=${key}`).waitFor();
    await page.getByText(`url = "${desk.url}/key/mcp"`).waitFor();

    const git = (command) => {
      const action = { type: "git", command, working_dir: desk.workspace };
      return desk.call("POST", "/api/tasks", { action }, { "x-api-key": key, prefer: "wait=40" });
    };
    assert.equal((await git("git commit -am change")).code, "denied");
    const { uid } = await git("git status");
    await page.getByText("codex is connected").waitFor();
    await page.locator(`a[href="#/tasks/${uid}"]`).filter({ hasText: "See it" }).click();
    await detail(page).getByRole("heading", { name: "Staged" }).waitFor();

    // Nobody sees the key again, and a second one has another name.
    await page.evaluate(() => (location.hash = "#/connect"));
    await page.getByRole("button", { name: "Codex" }).click();
    assert.equal(await shown.count(), 0);
    await page.getByRole("button", { name: "Make a key" }).click();
    await page.getByRole("alert").getByText("there is a key called `codex` already").waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("opens the folder that is chosen to tasks", async () => {
    const { page, faults } = await openWindow(browser, desk, { hash: "#/workspaces" });
    await connected(page);
    const open = () => JSON.parse(desk.cli("--json", "workspaces", "list")).map(({ path }) => path);
    const before = open();
    await page.getByRole("button", { name: "Choose a folder" }).click();
    assert.deepEqual(open(), before);
    const folder = join(desk.root, "projects");
    mkdirSync(folder);
    await page.evaluate((chosen) => (globalThis.__deskhandFolder = chosen), folder);
    await page.getByRole("button", { name: "Choose a folder" }).click();
    await page.getByText(folder).waitFor();
    assert.deepEqual(open(), [...before, folder]);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("shows its own computer, and no other one as if it were that", async () => {
    const { code } = await desk.call("POST", "/api/pairing-codes");
    await desk.call("POST", "/api/enrol", { code, device_name: "elsewhere", os: "linux" });
    const { page, faults } = await openWindow(browser, desk, { hash: "#/devices" });
    await connected(page);
    const other = page.getByRole("region", { name: "elsewhere" });
    await other.getByText("shows its own computer").waitFor();
    assert.equal(await other.getByRole("button").count(), 0);
    assert.equal(await page.getByRole("combobox", { name: "Device" }).count(), 0);
    // A browser goes from one to the other.
    const far = await openViewer(browser, desk, { hash: "#/devices" });
    await far.page.getByRole("region", { name: "elsewhere" }).getByRole("button", { name: "Show its tasks" }).click();
    await far.page.getByText("This device is offline").waitFor();
    desk.cli("devices", "remove", "elsewhere");
    assert.deepEqual(faults, []);
    await page.context().close();
    await far.context.close();
  });

  test("has the newest of the audit trail first, by what was asked for", async () => {
    const { page, faults } = await openWindow(browser, desk, { hash: "#/audit" });
    await connected(page);
    const before = await desk.shell("echo audited");
    await page.reload();
    await page.getByText("all as they were written").waitFor();
    const told = page.getByRole("button");
    await told.filter({ hasText: "echo audited" }).first().waitFor();
    // What was decided of it, and how it ended.
    const texts = await told.allInnerTexts();
    assert.deepEqual(texts.filter((text) => text !== "").slice(0, 2), ["echo audited", "echo audited"]);
    await told.filter({ hasText: "echo audited" }).first().click();
    await eventually("its task is open", () => page.url().endsWith(before.uid));
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("says why a command was refused", async () => {
    const { page } = await openWindow(browser, desk);
    await connected(page);
    desk.cli("devices", "pause");
    await command(page).fill("true");
    await command(page).press("Enter");
    await page.getByRole("alert").getByText("this computer is paused").waitFor();
    desk.cli("devices", "resume");
    await command(page).press("Enter");
    await detail(page).getByText("done", { exact: true }).waitFor();
    await page.context().close();
  });

  test("pauses its computer and resumes it, as a browser does", async () => {
    const { page } = await openWindow(browser, desk, { hash: "#/devices" });
    const far = await openViewer(browser, desk, { hash: "#/devices" });
    await connected(page);
    const paused = (shown) => shown.getByRole("status").filter({ hasText: "Paused" });
    await page.getByRole("button", { name: "Pause" }).click();
    await paused(page).waitFor();
    await paused(far.page).waitFor();
    assert.equal(JSON.parse(desk.cli("--json", "status")).device.paused, true);
    await far.page.getByRole("button", { name: "Resume" }).click();
    await connected(far.page);
    await connected(page);
    assert.equal(JSON.parse(desk.cli("--json", "status")).device.paused, false);
    // A paused device is there: its tasks are seen.
    await far.page.getByRole("button", { name: "Pause" }).click();
    await paused(far.page).waitFor();
    await far.page.evaluate(() => (location.hash = "#/tasks"));
    await far.page.getByRole("listbox", { name: "All tasks" }).getByRole("option").first().waitFor();
    desk.cli("devices", "resume");
    await connected(far.page);
    await page.context().close();
    await far.context.close();
  });
});
