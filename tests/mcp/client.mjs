// The official TypeScript client against a relay with a device, in both eras.
//
//   node client.mjs PACKAGES RELAY KEY DIRECTORY
//
// PACKAGES is the folder the client is installed in; DIRECTORY is a git repository that is open to tasks.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [packages, relay, key, directory] = process.argv.slice(2);
const found = createRequire(`${packages}/`).resolve("@modelcontextprotocol/client");
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(found));

async function connected(mode, answers) {
  const options = { versionNegotiation: { mode }, capabilities: answers ? { elicitation: {} } : {} };
  const client = new Client({ name: "check", version: "1" }, options);
  if (answers) {
    client.setRequestHandler("elicitation/create", async (request) => {
      assert.match(request.params.message, /May this run/);
      return { action: "accept", content: { answer: answers.shift() } };
    });
  }
  const headers = { Authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${relay}/key/mcp`), { requestInit: { headers } }));
  return client;
}

async function called(client, name, args, options) {
  const result = await client.callTool({ name, arguments: args }, options);
  assert.ok(!result.isError, JSON.stringify(result));
  return result.structuredContent;
}

async function running(client) {
  for (let n = 0; n < 400; n += 1) {
    const listed = await called(client, "list_tasks", { status: "running" });
    if (listed.tasks.length > 0) return listed.tasks[0].task_id;
    await pause(50);
  }
  throw new Error("no task runs");
}

async function check(mode) {
  const client = await connected(mode);
  const { tools } = await client.listTools();
  assert.equal(tools.length, 9);
  assert.match(client.getInstructions(), /wait_task/);

  // The client checks each result against the tool's output schema.
  const status = await called(client, "git_inspect", { args: ["status"], working_dir: directory });
  assert.match(status.stdout, /On branch/);
  const refused = await client.callTool({ name: "git_inspect", arguments: { args: ["branch", "no"], working_dir: directory } });
  assert.ok(refused.isError && refused.content[0].text.includes("denied"), JSON.stringify(refused));

  // Progress, and a wait that ends before the task.
  const told = [];
  await called(client, "shell_run", { command: "sleep 6" }, { onprogress: (progress) => told.push(progress.message) });
  assert.match(told[0], /^running/);
  const begun = await called(client, "shell_run", { command: "sleep 2; echo over", wait_seconds: 1 });
  assert.ok(begun.status === "running" && begun.next.includes(begun.task_id), JSON.stringify(begun));
  const ended = await called(client, "wait_task", { task_id: begun.task_id });
  assert.equal(ended.stdout, "over\n");

  // A call its client gives up: cancelled by word where there is one, else its wait ends.
  const gaveUp = new AbortController();
  const call = client.callTool({ name: "shell_run", arguments: { command: "sleep 30" } }, { signal: gaveUp.signal });
  const settled = assert.rejects(call);
  const task = await running(client);
  gaveUp.abort();
  await settled;
  if (mode === "legacy") {
    assert.equal((await called(client, "wait_task", { task_id: task })).status, "cancelled");
  } else {
    assert.equal((await called(client, "get_task", { task_id: task })).status, "running");
  }
  await called(client, "cancel_task", { task_id: task });

  // The owner's question: shown by the client, answered yes and no.
  const asking = await connected(mode, ["once", "no"]);
  const args = { command: "echo asked", network: ["example.com"], working_dir: directory };
  const allowed = await asking.callTool({ name: "shell_run", arguments: args });
  assert.equal(allowed.structuredContent.stdout, "asked\n", JSON.stringify(allowed));
  const denied = await asking.callTool({ name: "shell_run", arguments: args });
  assert.equal(denied.structuredContent.code, "denied", JSON.stringify(denied));
  await asking.close();

  const took = [];
  for (let n = 0; n < 50; n += 1) {
    const began = performance.now();
    await called(client, "git_inspect", { args: ["status"], working_dir: directory });
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  const version = client.getNegotiatedProtocolVersion?.() ?? mode;
  console.log(`${mode}: ${version}, git status p50 ${took[25].toFixed(1)} ms`);
  await client.close();
}

for (const mode of ["legacy", "auto"]) await check(mode);
