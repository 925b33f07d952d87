// A real `deskhand up` in a temporary home, and a real browser that looks at it.

import { spawn, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

const ROOT = resolve(import.meta.dirname, "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const PROGRAM = process.env.DESKHAND_PROGRAM ?? join(TARGET, "debug/deskhand");

/** Where screenshots go. */
export const SCREENSHOTS = join(TARGET, "screenshots");

/** How long anything may take before a test fails. */
const PATIENCE_MS = 60_000;

/** Waits until a condition gives something. */
export async function eventually(what, condition, patienceMs = PATIENCE_MS) {
  const until = Date.now() + patienceMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > until) throw new Error(`waited too long until ${what}`);
    await pause(20);
  }
}

/** Starts a relay and an agent in one process, with a home and a workspace of their own. */
export async function startDesk({ root: given, port = 0, config = "", prepare } = {}) {
  const root = given ?? mkdtempSync(join(tmpdir(), "deskhand-e2e-"));
  const home = join(root, "home");
  const workspace = join(root, "workspace");
  mkdirSync(home, { recursive: true });
  mkdirSync(workspace, { recursive: true });
  mkdirSync(join(root, "user"), { recursive: true });
  const inherited = ["PATH", "TZ"].map((name) => [name, process.env[name]]);
  const env = Object.fromEntries(inherited.filter(([, value]) => value !== undefined));
  Object.assign(env, {
    HOME: join(root, "user"),
    LANG: "C.UTF-8",
    DESKHAND_HOME: home,
    DESKHAND_LOG: "info",
    GIT_CONFIG_NOSYSTEM: "1",
  });
  writeFileSync(join(home, "config.toml"), config);
  prepare?.({ root, home, workspace });
  const ready = join(root, "ready.json");
  rmSync(ready, { force: true });
  const said = [];
  const args = ["up", "--listen", `127.0.0.1:${port}`, "--workspace", workspace, "--ready-file", ready];
  const child = spawn(PROGRAM, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => said.push(data));
  const info = await eventually("deskhand is ready", () => {
    if (child.exitCode !== null) throw new Error(`deskhand ended: ${Buffer.concat(said)}`);
    if (!existsSync(ready)) return null;
    const text = readFileSync(ready, "utf8");
    return text === "" ? null : JSON.parse(text);
  });
  return {
    root,
    home,
    workspace,
    url: info.relay_url,
    key: info.api_key,
    device: info.device_id,
    viewerUrl: info.viewer_url,
    port: Number(new URL(info.relay_url).port),
    pid: child.pid,
    /** Runs the command line in this home. */
    cli: (...rest) => execFileSync(PROGRAM, rest, { env, encoding: "utf8" }).trim(),
    git: (...rest) => execFileSync("git", ["-C", workspace, ...rest], { env, encoding: "utf8" }),
    /** Calls the relay with the owner's key. */
    async call(method, path, body, headers = {}) {
      const response = await fetch(info.relay_url + path, {
        method,
        headers: { "x-api-key": info.api_key, "content-type": "application/json", ...headers },
        body: body === undefined ? null : JSON.stringify(body),
      });
      return response.status === 204 ? null : response.json();
    },
    /** Sends a task and returns it at once. */
    submit(action, more = {}) {
      return this.call("POST", "/api/tasks", { action, ...more });
    },
    /** Sends a task and waits for its end. */
    run(action, more = {}) {
      return this.call("POST", "/api/tasks", { action, ...more }, { prefer: "wait=40" });
    },
    shell(command, more) {
      return this.run({ type: "shell", command, working_dir: workspace }, more);
    },
    /** Asks the device. */
    ask(request) {
      return this.call("POST", `/api/device-requests/${info.device_id}`, request);
    },
    async stop({ keep = false } = {}) {
      child.kill("SIGTERM");
      await eventually("deskhand has ended", () => child.exitCode !== null || child.signalCode);
      if (!keep) rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Starts Chromium; CHROMIUM names another one than Debian's. */
export function startBrowser() {
  // CI runs as root, where Chromium's own sandbox does not work, and with a small /dev/shm.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"];
  // A page that was put in by hand has no address, and may not open sockets to this computer.
  if (process.env.VIEWER_DIST) args.push("--disable-features=LocalNetworkAccessChecks");
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** Gives all tests of a file one browser and one desk, which `fill` gives what they begin with. */
export function forAll(take, fill = () => {}, options = {}) {
  let browser;
  let desk;
  before(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    browser = await startBrowser();
    desk = await startDesk(options);
    take({ browser, desk });
    await fill(desk);
  });
  after(async () => {
    await browser?.close();
    await desk?.stop();
  });
}

/** Opens the viewer, signed in with a link, and fails the test on any error of the page. One that is deaf
 * shows what there is when it is opened, and hears of nothing that happens then. */
export async function openViewer(browser, desk, { hash = "", isDeaf = false, ...options } = {}) {
  const { page, context, faults } = await newPage(browser, desk, options);
  if (isDeaf) await deafen(page);
  await page.goto(desk.cli("viewer"));
  await page.locator("#main").waitFor();
  if (hash !== "") await page.evaluate((value) => (location.hash = value), hash);
  return { page, context, faults };
}

/** Makes an empty page, whose errors are noted as faults. */
export async function newPage(browser, desk, options) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    locale: "en-GB",
    ...options,
  });
  if (process.env.VIEWER_DIST) await serveFrom(context, desk.url, process.env.VIEWER_DIST);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // A request that is refused is told by the page itself.
    const isOurs = message.type() === "error" && !message.text().includes("the server responded with");
    if (isOurs || message.text().includes("Content Security Policy")) faults.push(message.text());
  });
  return { page, context, faults };
}

/** Keeps everything that the relay says of a timeline from the page. */
function deafen(page) {
  return page.routeWebSocket(/\/timeline$/, (socket) => {
    socket.connectToServer().onMessage(() => {});
  });
}

/** Shows the viewer as it was built last, without building the program again: for who works on it. */
async function serveFrom(context, url, dist) {
  await context.route(`${url}/**`, async (route) => {
    const path = new URL(route.request().url()).pathname;
    const file = join(dist, path === "/" ? "index.html" : path);
    if (path.startsWith("/api") || path.startsWith("/ws") || !existsSync(file)) return route.continue();
    return route.fulfill({ path: file });
  });
}

/** Waits until the page follows what happens. */
export function connected(page) {
  return page.getByRole("status").filter({ hasText: /^Connected/ }).waitFor();
}
