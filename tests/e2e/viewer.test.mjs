// What a person does with the viewer, in a real browser against a real relay and agent.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connected, eventually, openViewer, startBrowser, startDesk } from "./desk.mjs";
import { makeHistory, makeRepository } from "./scene.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

/** The row of a command in the list. */
const row = (page, text) => page.getByRole("option").filter({ hasText: text });
const detail = (page) => page.getByRole("article", { name: "Task" });
const terminal = (page) => page.getByRole("region", { name: "Lines of output" });

describe("signing in", () => {
  let desk;
  before(async () => {
    desk = await startDesk();
  });
  after(() => desk.stop());

  test("a link signs in once, and leaves nothing in the address", async () => {
    const link = desk.cli("viewer");
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(link);
    await page.getByRole("link", { name: "Tasks" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#/tasks");
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
    assert.equal(await page.evaluate(() => document.cookie), "");

    const other = await (await browser.newContext()).newPage();
    await other.goto(link);
    await other.getByText("This link was used before").waitFor();
    await other.getByLabel("Key").fill("dh_wrong_key");
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByText("not a key of this relay").waitFor();
    await other.getByLabel("Key").fill(desk.key);
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByRole("link", { name: "Tasks" }).waitFor();
    await other.getByRole("button", { name: "Sign out" }).click();
    await other.getByRole("button", { name: "Sign in" }).waitFor();
    await other.reload();
    await other.getByRole("button", { name: "Sign in" }).waitFor();
    await context.close();
    await other.context().close();
  });

  test("a key that ends takes its browsers with it", async () => {
    const made = JSON.parse(desk.cli("--json", "keys", "create", "guest", "--scope", "devices:read"));
    const page = await (await browser.newContext()).newPage();
    await page.goto(desk.url);
    await page.getByLabel("Key").fill(made.secret);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("link", { name: "Tasks" }).waitFor();
    desk.cli("keys", "revoke", "guest");
    await page.reload();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    await page.context().close();
  });

  test("what rests on the cookie is heard from our own pages only", async () => {
    const made = await fetch(`${desk.url}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: desk.url },
      body: JSON.stringify({ key: desk.key }),
    });
    assert.equal(made.status, 201);
    const cookie = made.headers.get("set-cookie").split(";")[0];
    const ask = async (method, path, headers) => {
      const body = method === "POST" ? '{"action":{"type":"echo","text":"x"}}' : null;
      const answer = await fetch(desk.url + path, { method, headers: { cookie, ...headers }, body });
      return answer.status;
    };
    const ours = { origin: desk.url };
    assert.equal(await ask("GET", "/api/devices", {}), 200);
    assert.equal(await ask("POST", "/api/tasks", ours), 202);
    assert.equal(await ask("POST", "/api/tasks", {}), 403);
    assert.equal(await ask("POST", "/api/tasks", { origin: "http://evil.example" }), 403);
    assert.equal(await ask("POST", "/api/tasks", { origin: "null" }), 403);
    assert.equal(await ask("POST", "/api/tasks", { ...ours, "sec-fetch-site": "same-site" }), 403);
    assert.equal(await ask("GET", "/api/devices", { "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await ask("POST", "/api/stream-tickets", { origin: "http://127.0.0.1:1" }), 403);
  });

  test("pages run their own files and nothing else, under a name of the relay", async () => {
    const page = await fetch(desk.url, { headers: { accept: "text/html" } });
    const policy = page.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("cache-control"), "no-cache");
    const [script] = (await page.text()).match(/assets\/[\w-]+\.js/);
    const file = await fetch(`${desk.url}/${script}`);
    assert.match(file.headers.get("cache-control"), /immutable/);
    const health = await fetch(desk.url);
    assert.equal((await health.json()).service, "deskhand-relay");
  });
});

describe("the first page", () => {
  test("shows the way to the first task, and the task arrives", async () => {
    const desk = await startDesk({ prepare: () => {} });
    makeRepository(desk);
    const { page, faults } = await openViewer(browser, desk);
    await page.getByRole("heading", { name: "Ready for the first task" }).waitFor();
    await page.getByText(desk.workspace).first().waitFor();
    await page.getByRole("button", { name: "Gemini CLI" }).click();
    await page.getByText("deskhand keys create gemini-cli").waitFor();
    await page.getByText(`"httpUrl": "${desk.url}/key/mcp"`).waitFor();
    await page.getByText("Nothing has come from gemini-cli yet").waitFor();
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByText("It works").waitFor();
    await terminal(page).getByText("notes.txt").waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
    await desk.stop();
  });
});

describe("tasks", () => {
  let desk;
  let history;
  before(async () => {
    desk = await startDesk();
    makeRepository(desk);
    history = await makeHistory(desk);
  });
  after(() => desk.stop());

  test("a task is seen while it runs, with its progress, and when it ends", async () => {
    const { page, faults } = await openViewer(browser, desk);
    await connected(page);
    const go = join(desk.workspace, "go");
    const command = `echo deskhand:progress 40 building; while [ ! -e ${go} ]; do sleep 0.05; done; echo ready`;
    await desk.submit({ type: "shell", command, working_dir: desk.workspace });
    const open = page.getByRole("region", { name: "Tasks that have not ended" });
    await open.getByRole("progressbar").waitFor();
    await eventually("progress is shown", async () => {
      return (await open.getByRole("progressbar").getAttribute("aria-valuenow")) === "40";
    });
    await open.getByRole("link").click();
    await detail(page).getByText("running", { exact: true }).waitFor();
    writeFileSync(go, "");
    await terminal(page).getByText("ready").waitFor();
    await detail(page).getByText("done", { exact: true }).waitFor();
    await open.waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("everything is done from the keyboard", async () => {
    const { page } = await openViewer(browser, desk);
    await connected(page);
    await row(page, "git diff HEAD").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Next and previous task").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });

    await page.keyboard.press("/");
    await page.keyboard.type("keeps_a_w panicked");
    await page.getByText("1 hit", { exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await detail(page).getByText("exit 101").first().waitFor();
    await terminal(page).getByText("running 24 tests").waitFor();
    await page.keyboard.press("Escape");
    await detail(page).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Clear" }).click();

    await page.keyboard.press("n");
    await page.keyboard.type("sleep 600");
    await page.keyboard.press("Enter");
    await detail(page).getByText("running", { exact: true }).waitFor();
    await page.getByRole("textbox", { name: "Command" }).blur();
    await page.keyboard.press("c");
    await detail(page).getByText("cancelled", { exact: true }).waitFor();
    await page.keyboard.press("n");
    await page.keyboard.press("ArrowUp");
    assert.equal(await page.getByRole("textbox", { name: "Command" }).inputValue(), "sleep 600");
    await page.context().close();
  });

  test("the keyboard goes past the navigation, is seen where it is, and nothing moves for who wants no motion", async () => {
    const { page } = await openViewer(browser, desk, { reducedMotion: "reduce" });
    await connected(page);
    await row(page, "git diff HEAD").waitFor();
    await desk.submit({ type: "shell", command: "sleep 600", working_dir: desk.workspace });
    await page.getByRole("progressbar").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    const seen = [];
    for (let i = 0; i < 6; i += 1) {
      await page.keyboard.press("Tab");
      const [name, isMarked] = await page.evaluate(() => {
        const focused = document.activeElement;
        const isMarked = [focused, focused.parentElement].some((element) => {
          const { outlineStyle, boxShadow } = getComputedStyle(element);
          return outlineStyle !== "none" || boxShadow !== "none";
        });
        return [focused.ariaLabel ?? focused.textContent.trim().split(/\s/)[0], isMarked];
      });
      assert.equal(isMarked, true, `${name} shows that the keyboard is there`);
      seen.push(name);
    }
    assert.deepEqual(seen.slice(0, 4), ["Command", "running", "Search commands and output", "Any status"]);
    const moving = await page.evaluate(() =>
      [...document.querySelectorAll("*")].filter((element) => {
        const { animationName, animationDuration, transitionDuration } = getComputedStyle(element);
        const lasts = (times) => times.split(",").some((time) => Number.parseFloat(time) > 0.01);
        return (animationName !== "none" && lasts(animationDuration)) || lasts(transitionDuration);
      }).length,
    );
    assert.equal(moving, 0);
    const { tasks } = await desk.ask({ type: "list_tasks", is_open: true, limit: 10, skip: 0, count: false });
    for (const { uid } of tasks) await desk.call("POST", `/api/tasks/${uid}/cancel`);
    await page.context().close();
  });

  test("the list is filtered by outcome, source, action and caller", async () => {
    const { page } = await openViewer(browser, desk);
    await row(page, "git diff HEAD").waitFor();
    await page.getByLabel("Any status").selectOption("Not succeeded");
    await row(page, "git diff HEAD").waitFor({ state: "detached" });
    await row(page, "no Cargo.lock here").waitFor();
    await page.getByPlaceholder("Caller").fill("claude");
    await page.getByText("Nothing matches").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByLabel("Any action").selectOption("git");
    await row(page, "ls -la").waitFor({ state: "detached" });
    await row(page, "git status").first().waitFor();
    await page.context().close();
  });

  test("git answers are shown as what they are", async () => {
    const { page, faults } = await openViewer(browser, desk, { hash: `#/tasks/${history.status.uid}` });
    await detail(page).getByRole("heading", { name: "Staged" }).waitFor();
    await detail(page).getByText("notes.txt", { exact: true }).waitFor();
    // What let it run is said where it started, and who decided that among the details.
    await detail(page).getByRole("listitem").filter({ hasText: "Started" }).getByText("it only reads").waitFor();
    await detail(page).getByText("Details").click();
    await detail(page).getByText(/^level .*: it only reads$|: it only reads$/).waitFor();
    await page.getByRole("tab", { name: "Terminal" }).click();
    await terminal(page).getByText("Changes not staged for commit").waitFor();

    await page.evaluate((uid) => (location.hash = `#/tasks/${uid}`), history.log.uid);
    await detail(page).getByText("Keep a week of readings").waitFor();

    await page.evaluate((uid) => (location.hash = `#/tasks/${uid}`), history.diff.uid);
    await page.getByRole("navigation", { name: "Changed files" }).getByText("sensor.rs").click();
    await detail(page).getByText("/// Degrees Celsius.").waitFor();
    await page.getByRole("button", { name: "Unified" }).click();
    await detail(page).getByText("let raw = 215;").waitFor();
    await page.getByRole("tab", { name: "Raw JSON" }).click();
    await detail(page).getByText('"uid"').waitFor();
    await page.getByRole("button", { name: "Run again" }).click();
    await eventually("the same is asked again", () => !page.url().includes(history.diff.uid));
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("hostile output and names are text everywhere", async () => {
    const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    writeFileSync(join(desk.workspace, "new\nline<b>.txt"), `${evil}\n`);
    desk.git("add", "-N", ".");
    const line = "x".repeat(1_000_000);
    writeFileSync(join(desk.workspace, "long.txt"), `${line}\n`);
    const printed = [
      `printf '%s\\n' '${evil.replaceAll("'", `'\\''`)}'`,
      String.raw`printf '\033]0;owned\007\033]8;;javascript:alert(1)\007link\033]8;;\007\n'`,
      String.raw`printf 'a\342\200\256b\000c\n'`,
      "cat long.txt; echo the end",
    ].join("; ");
    const { page, faults } = await openViewer(browser, desk);
    await connected(page);
    page.on("dialog", () => faults.push("a dialog opened"));
    const shell = await desk.shell(`${printed} # ${evil}`, { title: `${evil}\u202etitle` });
    await row(page, "<img src=x").first().click();
    await terminal(page).getByText("<img src=x onerror").first().waitFor();
    await terminal(page).getByText("a‹U+202E›b␀c").waitFor();
    await page.getByRole("searchbox", { name: "Find in output" }).fill("the end");
    await page.getByText(/^1 of \d/).waitFor();
    await page.keyboard.press("Enter");
    await terminal(page).getByText("the end").first().waitFor();
    const n = await terminal(page).locator("img, script, a, b").count();
    assert.equal(n, 0);

    for (const command of ["git status", "git diff"]) {
      const task = await desk.run({ type: "git", command, working_dir: desk.workspace });
      await page.evaluate((uid) => (location.hash = `#/tasks/${uid}`), task.uid);
      await detail(page).getByText("new⏎line<b>.txt").first().waitFor();
    }
    await page.getByText("<script>document.title").first().waitFor();
    assert.notEqual(await page.title(), "owned");
    assert.equal(await page.locator("article img, article script").count(), 0);
    assert.equal(shell.status, "completed");
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("8 MB of output are read, searched and scrolled", async () => {
    const task = await desk.shell("seq -f '%07g the quick brown fox jumps over the lazy dog' 1 160000");
    const { page, faults } = await openViewer(browser, desk, { hash: `#/tasks/${task.uid}` });
    await page.getByText("160,000 lines").waitFor();
    await page.getByRole("searchbox", { name: "Find in output" }).fill("0155555 the");
    await page.getByText("1 of 1", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await terminal(page).getByText("0155555").waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test("the page says that it lost the relay, comes back by itself and has missed nothing", async () => {
    const mine = await startDesk();
    const { page } = await openViewer(browser, mine);
    await connected(page);
    await mine.stop({ keep: true });
    await page.getByText(/^(Reconnecting, attempt|Offline)/).waitFor();
    const again = await startDesk({ root: mine.root, port: mine.port });
    await again.run({ type: "echo", text: "while you were away" });
    await page.getByRole("button", { name: "Retry" }).click({ timeout: 5_000 }).catch(() => {});
    await connected(page);
    await row(page, "while you were away").waitFor();
    await page.context().close();
    await again.stop();
  });
});
