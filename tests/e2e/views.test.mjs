// Each page as it is seen: light and dark, wide and narrow, with large text; what axe says of it, and a
// screenshot of it in target/screenshots.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connected, forAll, openViewer, SCREENSHOTS, startDesk } from "./desk.mjs";
import { BUILD, makeHistory, makeRepository, makeSchedules } from "./scene.mjs";
import { openWindow } from "./window.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let desk;
let history;
const config = '[device]\nname = "studio"\n';
forAll((made) => ({ browser, desk } = made), fill, { config });

async function fill() {
  makeRepository(desk);
  history = await makeHistory(desk);
  await makeSchedules(desk);
  const go = join(desk.workspace, ".git", "go");
  const wait = `while [ ! -e ${go} ]; do sleep 0.2; done`;
  const running = [
    `${BUILD.trim()}\necho 'deskhand:progress 64 linking station'; ${wait}`,
    `echo 'deskhand:progress 12 week 3 of 24'; ${wait}`,
  ];
  const titles = ["Build the station", "Recompute the archive"];
  for (const [i, command] of running.entries()) {
    const action = { type: "shell", command, working_dir: desk.workspace };
    await desk.call("POST", "/api/tasks", { action, title: titles[i] }, history.headers.claude);
  }
}

const pages = () => ({
  tasks: { hash: "#/tasks", ready: (page) => page.getByText("linking station").waitFor() },
  "task-terminal": {
    hash: `#/tasks/${history.build.uid}`,
    ready: (page) => page.getByRole("article").getByText("Compiling").first().waitFor(),
  },
  "task-status": {
    hash: `#/tasks/${history.status.uid}`,
    ready: (page) => page.getByRole("heading", { name: "Staged" }).waitFor(),
  },
  "task-log": {
    hash: `#/tasks/${history.log.uid}`,
    ready: (page) => page.getByText("A ring of 10,080").waitFor(),
  },
  "task-diff": {
    hash: `#/tasks/${history.diff.uid}`,
    ready: async (page) => {
      await page.getByRole("navigation", { name: "Changed files" }).getByText("sensor.rs").click();
      await page.getByText("Degrees Celsius").first().waitFor();
    },
  },
  search: {
    hash: "#/tasks",
    ready: async (page) => {
      await page.getByRole("searchbox", { name: "Search" }).fill("u64");
      await page.getByText("2 hits", { exact: true }).waitFor();
    },
  },
  schedules: {
    hash: "#/schedules",
    ready: async (page) => {
      await page.getByRole("button", { name: "Show runs backup" }).click();
      await page.getByText("an earlier run had not ended").last().waitFor();
    },
  },
  "schedules-window": {
    isWindow: true,
    hash: "#/schedules",
    ready: (page) => page.getByRole("button", { name: "Run now report" }).waitFor(),
  },
  "schedules-form": {
    isWindow: true,
    hash: "#/schedules",
    ready: async (page) => {
      await page.getByRole("button", { name: "Edit report" }).click();
      await page.getByRole("dialog").getByLabel("Command").waitFor();
    },
  },
  overview: { hash: "#/overview", ready: (page) => page.getByText("By caller").waitFor() },
  connect: { hash: "#/connect", ready: (page) => page.getByText("claude mcp add").waitFor() },
  "connect-hosted": {
    hash: "#/connect",
    ready: async (page) => {
      await page.getByRole("button", { name: "Custom GPT" }).click();
      await page.getByText("needs a public HTTPS address").first().waitFor();
    },
  },
  "connect-window": {
    isWindow: true,
    hash: "#/connect",
    ready: (page) => page.getByRole("button", { name: "Make a key" }).waitFor(),
  },
  keyboard: {
    hash: "#/tasks",
    ready: async (page) => {
      await page.keyboard.press("?");
      await page.getByRole("dialog").getByText("Next and previous task").waitFor();
    },
  },
  "workspaces-window": {
    isWindow: true,
    hash: "#/workspaces",
    ready: (page) => page.getByRole("button", { name: "Choose a folder" }).waitFor(),
  },
  "keys-window": {
    isWindow: true,
    hash: "#/keys",
    ready: (page) => page.getByText("phone", { exact: true }).waitFor(),
  },
  "audit-window": {
    isWindow: true,
    hash: "#/audit",
    ready: (page) => page.getByText("all as they were written").waitFor(),
  },
  devices: { hash: "#/devices", ready: (page) => page.getByText("Enrolled").waitFor() },
  workspaces: { hash: "#/workspaces", ready: (page) => page.getByText("deskhand workspaces add").waitFor() },
  keys: { hash: "#/keys", ready: (page) => page.getByText("deskhand keys create").waitFor() },
  audit: { hash: "#/audit", ready: (page) => page.getByText("deskhand audit").first().waitFor() },
  settings: { hash: "#/settings", ready: (page) => page.getByText("deskhand config show").waitFor() },
  about: { hash: "#/about", ready: (page) => page.getByText("llm-instructions").waitFor() },
});

/** Returns what axe finds wrong by WCAG 2.2 AA, in words. */
async function violations(page) {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  // The policy of the page forbids foreign scripts; the debugger may add one all the same.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: AXE });
  const found = await page.evaluate(
    async (runOnly) => (await globalThis.axe.run(document, { runOnly })).violations,
    tags,
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

async function open(name, options = {}) {
  const { hash, ready, isWindow = false } = pages()[name];
  const opened = await (isWindow ? openWindow : openViewer)(browser, desk, { hash, ...options });
  await connected(opened.page);
  await ready(opened.page);
  return opened;
}

const NAMES = [
  "tasks", "task-terminal", "task-status", "task-log", "task-diff", "search", "schedules",
  "schedules-window", "schedules-form", "overview", "connect", "connect-hosted", "connect-window", "keyboard",
  "devices", "workspaces", "workspaces-window", "keys", "keys-window", "audit", "audit-window", "settings", "about",
];

for (const colorScheme of ["light", "dark"]) {
  describe(`in ${colorScheme}`, () => {
    for (const name of NAMES) {
      test(`${name} is accessible and fits`, async () => {
        const { page, context, faults } = await open(name, { colorScheme });
        await page.evaluate(() => document.fonts.ready);
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${colorScheme}.png`) });
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(faults, []);
        await context.close();
      });
    }
  });
}

describe("on a phone, and with large text", () => {
  for (const name of NAMES) {
    test(`${name} does not scroll sideways`, async () => {
      const viewport = { width: 360, height: 740 };
      const { page, context } = await open(name, { viewport });
      const overflow = () =>
        page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(await overflow(), 0);
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-phone.png`) });
      // 200 % text, as a browser's own setting makes it, on a screen of a desk.
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.evaluate(() => document.documentElement.style.setProperty("font-size", "187.5%"));
      assert.equal(await overflow(), 0);
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-large.png`) });
      await context.close();
    });
  }

  test("the page before anybody is signed in", async () => {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 } });
      const page = await context.newPage();
      await page.goto(desk.url);
      await page.getByRole("button", { name: "Sign in" }).waitFor();
      await page.screenshot({ path: join(SCREENSHOTS, `sign-in-${colorScheme}.png`) });
      assert.deepEqual(await violations(page), []);
      await context.close();
    }
  });

  test("the first page", async () => {
    const empty = await startDesk({ config });
    for (const colorScheme of ["light", "dark"]) {
      const { page, context } = await openViewer(browser, empty, { colorScheme });
      await page.getByRole("heading", { name: "Ready for the first task" }).waitFor();
      await page.getByText(empty.workspace).first().waitFor();
      await page.screenshot({ path: join(SCREENSHOTS, `first-run-${colorScheme}.png`) });
      assert.deepEqual(await violations(page), []);
      await context.close();
    }
    await empty.stop();
  });
});
