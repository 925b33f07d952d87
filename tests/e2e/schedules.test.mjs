// Schedules in the viewer: seen from everywhere, changed in the computer's own window.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connected, eventually, forAll, openViewer } from "./desk.mjs";
import { makeRepository } from "./scene.mjs";
import { openWindow } from "./window.mjs";

let browser;
let desk;
forAll((made) => ({ browser, desk } = made), makeRepository);

const card = (page, name) => page.getByRole("article", { name });
const listed = () => JSON.parse(desk.cli("--json", "schedules", "list"));

describe("schedules", () => {
  test("the window makes one, changes it, runs it, pauses it and removes it", async () => {
    const { page, faults } = await openWindow(browser, desk, { hash: "#/schedules" });
    await connected(page);
    await page.getByText("Nothing is scheduled").waitFor();
    await page.getByRole("button", { name: "Add a schedule" }).click();
    const form = page.getByRole("dialog");
    const save = form.getByRole("button", { name: "Add a schedule" });
    await form.getByLabel("Name").fill("count");
    await form.getByLabel("Command").fill("ls | wc -l");
    await form.getByLabel("When").fill("every(1 century)");
    await save.click();
    await form.getByRole("alert").waitFor();
    await form.getByLabel("When").fill("every(1 hour)");
    await form.getByLabel("Missed runs").selectOption("make up for each");
    await form.getByLabel("At most this late").selectOption("6 hours");
    await save.click();
    await card(page, "count").getByText("in 59 min").or(card(page, "count").getByText("in 60 min")).waitFor();
    const [made] = listed();
    const { name, when, missed, max_age_seconds, request } = made.schedule;
    assert.deepEqual(
      [name, when, missed, max_age_seconds, request.action.type, request.action.command],
      ["count", "every(1 hour)", "all", 21_600, "shell", "ls | wc -l"],
    );

    await page.getByRole("button", { name: "Edit count" }).click();
    assert.equal(await form.getByLabel("Name").isDisabled(), true);
    await form.getByLabel("Command").fill("git status");
    await form.getByLabel("Workspace").selectOption("workspace");
    await form.getByRole("button", { name: "Save" }).click();
    await card(page, "count").getByText("git status").waitFor();
    const [changed] = listed();
    assert.equal(changed.created_at, made.created_at);
    assert.equal(changed.schedule.request.action.working_dir, desk.workspace);

    await page.getByRole("button", { name: "Run now count" }).click();
    await page.getByRole("article", { name: "Task" }).getByRole("heading", { name: "Staged" }).waitFor();
    await page.evaluate(() => (location.hash = "#/schedules"));
    await page.getByRole("button", { name: "Show runs count" }).click();
    await card(page, "count").getByRole("heading", { name: "Next" }).waitFor();
    await card(page, "count").getByRole("link", { name: "done" }).first().waitFor();

    await page.getByRole("button", { name: "Pause count" }).click();
    await card(page, "count").getByText("paused", { exact: true }).waitFor();
    assert.equal(listed()[0].enabled, false);
    await page.getByRole("button", { name: "Resume count" }).click();
    await card(page, "count").getByText("paused", { exact: true }).waitFor({ state: "detached" });
    assert.equal(listed()[0].enabled, true);

    await page.getByRole("button", { name: "Remove count" }).click();
    await form.getByRole("button", { name: "Keep it" }).click();
    assert.equal(listed().length, 1);
    await page.getByRole("button", { name: "Remove count" }).click();
    await form.getByRole("button", { name: "Remove" }).click();
    await page.getByText("Nothing is scheduled").waitFor();
    assert.deepEqual(listed(), []);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("a browser sees them, what was left out and why, and the commands that change them", async () => {
    const { page, faults } = await openViewer(browser, desk, { hash: "#/schedules" });
    await connected(page);
    await page.getByText("deskhand schedules add --replace NAME").waitFor();
    const line = "while [ ! -e .git/go ]; do sleep 0.05; done; exit 3";
    desk.cli("schedules", "add", "slow", "every(1 second)", "--cwd", desk.workspace, "--line", line);
    await card(page, "slow").getByText("an earlier run had not ended").waitFor();
    await page.getByRole("button", { name: "Show runs slow" }).click();
    await card(page, "slow").getByText("running").waitFor();
    for (const name of ["Add a schedule", "Run now slow", "Edit slow", "Pause slow", "Remove slow"]) {
      assert.equal(await page.getByRole("button", { name }).count(), 0, name);
    }
    // The commands that are shown are commands.
    desk.cli("schedules", "disable", "slow");
    await card(page, "slow").getByText("paused", { exact: true }).waitFor();
    desk.cli("schedules", "add", "--replace", "slow", "every(1 hour)", "--cwd", desk.workspace, "git", "status");
    writeFileSync(join(desk.workspace, ".git/go"), "");
    await eventually("how it ended is shown", () => card(page, "slow").getByText("exit 3").first().isVisible());
    await card(page, "slow").getByText("every(1 hour)").waitFor();
    desk.cli("schedules", "remove", "slow");
    await page.getByText("Nothing is scheduled").waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
