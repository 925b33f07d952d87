// A relay and an agent in processes of their own, and a proxy between them and a browser that can
// block WebSockets and hold streams back.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const BIN = path.join(HERE, "../../../target/debug/deskhand");

export const CHROMIUM = "/usr/bin/chromium";

/** Waits until a condition gives a value. */
export async function eventually(what, condition) {
  const began = Date.now();
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() - began > 60_000) throw new Error(`waited too long until ${what}`);
    await sleep(20);
  }
}

function environment(home) {
  return { PATH: process.env.PATH, HOME: path.join(home, "../user"), DESKHAND_HOME: home };
}

class Program {
  constructor(home, args) {
    this.home = home;
    this.args = args;
  }

  async start() {
    const ready = path.join(this.home, "ready.json");
    fs.rmSync(ready, { force: true });
    const log = fs.openSync(path.join(this.home, "test.log"), "a");
    this.child = spawn(BIN, [...this.args, "--ready-file", ready], {
      env: environment(this.home),
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    return eventually("it is ready", () => {
      if (this.child.exitCode !== null) {
        throw new Error(fs.readFileSync(path.join(this.home, "test.log"), "utf8"));
      }
      try {
        return JSON.parse(fs.readFileSync(ready, "utf8"));
      } catch {
        return undefined;
      }
    });
  }

  async kill() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** A relay with the device `desk`; `stop` ends both. */
export async function startRelay() {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "deskhand-js-")));
  const home = (name) => {
    const dir = path.join(root, name, "home");
    fs.mkdirSync(dir, { recursive: true });
    fs.mkdirSync(path.join(root, name, "user"));
    return dir;
  };
  const relay = new Program(home("relay"), ["relay", "serve", "--listen", "127.0.0.1:0"]);
  const { relay_url: url, api_key: key } = await relay.start();
  const run = (at, args) => {
    const ended = spawnSync(BIN, args, { env: environment(at), encoding: "utf8" });
    if (ended.status !== 0) throw new Error(ended.stderr);
    return ended.stdout;
  };
  const { code } = JSON.parse(run(relay.home, ["--json", "devices", "pair"]));
  const workspace = path.join(root, "agent/workspace");
  fs.mkdirSync(workspace, { recursive: true });
  const agentHome = home("agent");
  run(agentHome, ["enrol", "--relay", url, "--code", code, "--name", "desk"]);
  const agent = new Program(agentHome, ["agent", "run", "--relay", url, "--workspace", workspace]);
  await agent.start();
  const address = url.replace("http://", "");
  return {
    url,
    key,
    kill: () => relay.kill(),
    async startAgain() {
      relay.args = ["relay", "serve", "--listen", address];
      await relay.start();
    },
    async stop() {
      await Promise.all([relay.kill(), agent.kill()]);
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Stands between a client and the relay; serves the client's source at `/client.js` as well. */
export async function startProxy(relayUrl, { webSockets = true, streams = true } = {}) {
  const target = new URL(relayUrl);
  const server = http.createServer((request, response) => {
    if (request.url === "/") {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>test</title>");
      return;
    }
    if (request.url === "/client.js") {
      response.setHeader("content-type", "text/javascript");
      response.end(fs.readFileSync(path.join(HERE, "../index.js")));
      return;
    }
    const onward = http.request(
      { host: target.hostname, port: target.port, path: request.url, method: request.method, headers: request.headers },
      (answer) => {
        if (!streams && answer.headers["content-type"]?.startsWith("text/event-stream")) {
          // A proxy that does not pass a stream on: what comes of it is an error page.
          answer.destroy();
          response.setHeader("content-type", "text/html");
          response.end("<html>buffered</html>");
          return;
        }
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  server.on("upgrade", (request, socket, head) => {
    if (!webSockets) {
      socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n");
      return;
    }
    const onward = net.connect(Number(target.port), target.hostname, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i < request.rawHeaders.length; i += 2) {
        lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      }
      onward.write(`${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
