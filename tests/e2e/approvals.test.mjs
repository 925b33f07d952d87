// Questions to the owner, as they are seen and answered in the viewer.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connected, eventually, forAll, openViewer, SCREENSHOTS } from "./desk.mjs";
import { openWindow } from "./window.mjs";

let browser;
let desk;
let assistant;
forAll(
  (made) => ({ browser, desk } = made),
  () => {
    desk.cli("workspaces", "add", desk.workspace, "--level", "ask");
    const made = JSON.parse(desk.cli("--json", "keys", "create", "claude"));
    assistant = { "x-api-key": made.secret };
  },
);

const ask = (command) => {
  const action = { type: "shell", command, working_dir: desk.workspace };
  return desk.call("POST", "/api/tasks", { action }, assistant);
};
const card = (page, command) => page.getByRole("region", { name: "claude wants to run" }).filter({ hasText: command });
const detail = (page) => page.getByRole("article", { name: "Task" });
const ended = (uid) =>
  eventually("the task has ended", async () => {
    const task = await desk.call("GET", `/api/tasks/${uid}`);
    return ["completed", "failed"].includes(task.status) ? task : null;
  });

describe("a question", () => {
  test("is seen as it is asked, allowed once, and the task runs", async () => {
    const { page, faults } = await openViewer(browser, desk);
    await connected(page);
    const { uid } = await ask("mkdir -v allowed");
    const asked = card(page, "mkdir -v allowed");
    await asked.waitFor();
    await asked.getByText("may write in the workspace").waitFor();
    await asked.getByText(/^Ends unanswered in/).waitFor();
    // A rule is made on the computer itself, and its command is shown.
    assert.equal(await asked.getByRole("button", { name: "Always here" }).count(), 0);
    await asked.getByText(`deskhand approvals answer ${uid} always_here`).waitFor();
    assert.equal(existsSync(join(desk.workspace, "allowed")), false);
    await page.screenshot({ path: join(SCREENSHOTS, "question-light.png") });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: join(SCREENSHOTS, "question-dark.png") });
    await asked.getByRole("button", { name: "Allow once" }).click();
    await asked.waitFor({ state: "detached" });
    await page.evaluate((task) => (location.hash = `#/tasks/${task}`), uid);
    await detail(page).getByText("done", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Lines of output" }).getByText("created directory").waitFor();
    await detail(page).getByText("Allowed once").first().waitFor();
    assert.equal(existsSync(join(desk.workspace, "allowed")), true);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("is seen by who comes late, and who answers second is told who was first", async () => {
    const first = await openViewer(browser, desk);
    await connected(first.page);
    const { uid } = await ask("echo twice >> answers");
    await card(first.page, "answers").waitFor();

    // This page hears nothing of what happens once it is there: it goes on showing the question.
    const second = await openViewer(browser, desk, { isDeaf: true });
    await card(second.page, "answers").waitFor();
    await card(first.page, "answers").getByRole("button", { name: "Deny" }).click();
    await card(first.page, "answers").waitFor({ state: "detached" });
    await card(second.page, "answers").getByRole("button", { name: "Allow once" }).click();
    await card(second.page, "answers").getByText("answered `no` first, through relay").waitFor();

    const task = await ended(uid);
    assert.deepEqual([task.status, task.code], ["failed", "denied"]);
    assert.equal(existsSync(join(desk.workspace, "answers")), false);
    assert.deepEqual([...first.faults, ...second.faults], []);
    await first.context.close();
    await second.context.close();
  });

  test("is answered for good in the computer's own window", async () => {
    const { page, faults } = await openWindow(browser, desk);
    await connected(page);
    const { uid } = await ask("wc -c answers.txt");
    const asked = card(page, "wc -c answers.txt");
    await asked.getByText("Always here would add this rule").waitFor();
    await asked.getByRole("button", { name: "Always here" }).click();
    await asked.waitFor({ state: "detached" });
    assert.equal((await ended(uid)).status, "completed");
    // The rule answers the next one.
    const next = await ask("wc -c answers.txt");
    assert.equal((await ended(next.uid)).status, "completed");
    assert.equal(await asked.count(), 0);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
