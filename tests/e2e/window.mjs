// The viewer as the desktop window holds it. The window is an ordinary page here: what the application
// puts around it, one command and the events, is answered by the control socket of the same process,
// which takes and gives the same.

import { createConnection } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { newPage } from "./desk.mjs";

/** What the application's bridge is to the page; `__deskhand…` are the ends in this process, and the
 * directory that is chosen when the page asks for one. */
function bridge() {
  const listeners = new Map();
  globalThis.__deskhandHear = (name, payload) => {
    for (const hear of listeners.get(name) ?? []) hear({ payload });
  };
  globalThis.__TAURI_INTERNALS__ = {};
  globalThis.__TAURI__ = {
    core: {
      invoke(command, args) {
        if (command === "choose_folder") return Promise.resolve(globalThis.__deskhandFolder ?? null);
        if (command === "request") return globalThis.__deskhandRequest(args.request);
        return Promise.resolve(console.error(`${command}: ${args.message}`));
      },
    },
    event: {
      listen(name, hear) {
        listeners.set(name, [...(listeners.get(name) ?? []), hear]);
        return Promise.resolve(() => listeners.delete(name));
      },
    },
  };
}

/** Opens the viewer as this computer's own window, and fails the test on any error of the page. */
export async function openWindow(browser, desk, { hash = "", ...options } = {}) {
  const socket = join(desk.home, "control.sock");
  const { page, context, faults } = await newPage(browser, desk, options);
  await context.exposeFunction("__deskhandRequest", (request) => exchange(socket, request));
  await context.addInitScript(bridge);
  const following = createConnection(socket);
  following.write('{"follow":{}}\n');
  createInterface(following).on("line", (line) => {
    const { event, missed } = JSON.parse(line);
    const batch = { events: event === undefined ? [] : [event], missed: missed ?? 0 };
    if (batch.events.length === 0 && batch.missed === 0) return;
    const tell = (told) => globalThis.__deskhandHear?.("deskhand://events", told);
    // The page may be gone.
    page.evaluate(tell, batch).catch(() => {});
  });
  following.on("error", () => {});
  context.on("close", () => following.destroy());
  await page.goto(`${desk.url}/${hash}`);
  await page.locator("#main").waitFor();
  return { page, context, faults };
}

function exchange(socket, request) {
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket);
    connection.on("error", reject);
    createInterface(connection).once("line", (line) => {
      connection.destroy();
      resolve(JSON.parse(line));
    });
    connection.write(`${JSON.stringify(request)}\n`);
  });
}
