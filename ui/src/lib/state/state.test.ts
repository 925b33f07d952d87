import { flushSync } from "svelte";
import { expect, test, vi } from "vitest";
import type { Backend } from "../backend/backend";
import type { DeviceRequest, DeviceResponse, TaskFilter, TaskView } from "../protocol";
import { once } from "./once";
import { OpenTasks } from "./open-tasks.svelte";
import { Output } from "./output.svelte";
import { hashOf, parseRoute } from "./route.svelte";
import { EVERYTHING, TaskList } from "./task-list.svelte";

const uid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;

function task(n: number, change: Partial<TaskView> = {}): TaskView {
  return {
    task_id: uid(n),
    uid: uid(n),
    status: "completed",
    action: { type: "echo", text: String(n) },
    source: "relay",
    caller: "test",
    device: "desk",
    title: null,
    created_at: "2026-11-20T11:00:00Z",
    started_at: "2026-11-20T11:00:00Z",
    completed_at: "2026-11-20T11:00:01Z",
    returncode: 0,
    result: null,
    code: null,
    error: null,
    ...change,
  };
}

/** A device with so many tasks, which answers lists as the real one does. */
class Store {
  readonly asked: DeviceRequest[] = [];

  constructor(public tasks: TaskView[]) {}

  static of(n: number): Store {
    return new Store(Array.from({ length: n }, (_, i) => task(n - i)));
  }

  readonly backend = {
    kind: "browser",
    request: async (_: string, request: DeviceRequest) => this.answer(request),
  } as unknown as Backend;

  answer(request: DeviceRequest): DeviceResponse {
    this.asked.push(request);
    if (request.type === "list_tasks") {
      const matching = this.tasks.filter((found) => matches(found, request));
      const tasks = matching.slice(request.skip, request.skip + request.limit);
      return { type: "tasks", tasks, ...(request.count ? { n_total: matching.length } : {}) };
    }
    if (request.type === "search_tasks") {
      const hits = this.tasks.slice(0, 2).map((found) => ({ task: found, found_in: null }));
      return { type: "found", hits, has_more: false };
    }
    if (request.type === "events") return { type: "events", events: [], has_more: false };
    throw new Error(request.type);
  }
}

function matches(found: TaskView, filter: TaskFilter): boolean {
  if (filter.newest !== undefined && found.uid > filter.newest) return false;
  if (filter.is_open === true && found.completed_at !== null) return false;
  return filter.status === undefined || found.status === filter.status;
}

test("of a long list only the pages that are looked at are read", async () => {
  const store = Store.of(100_000);
  const list = new TaskList(store.backend, "desk");
  await list.read();
  expect(list.length).toBe(100_000);
  expect(list.row(0)?.task.uid).toBe(uid(100_000));
  expect(list.row(70_050)).toBeNull();
  list.need(70_040, 70_060);
  await vi.waitFor(() => expect(list.row(70_050)?.task.uid).toBe(uid(29_950)));
  expect(store.asked.length).toBe(2);
});

test("new tasks come before the ones that are read, which stay where they are", async () => {
  const store = Store.of(250);
  const list = new TaskList(store.backend, "desk");
  await list.read();
  const open = task(251, { status: "in_progress", completed_at: null, returncode: null });
  store.tasks = [open, ...store.tasks];
  list.hear([{ type: "started", uid: uid(251), at: open.created_at }]);
  await vi.waitFor(() => expect(list.length).toBe(251));
  expect(list.row(0)?.task.status).toBe("in_progress");
  expect(list.row(1)?.task.uid).toBe(uid(250));
  list.need(200, 202);
  await vi.waitFor(() => expect(list.row(201)?.task.uid).toBe(uid(50)));

  const at = "2026-11-20T11:00:05Z";
  const ended = { type: "ended", uid: uid(251), status: "completed", returncode: 2 } as const;
  list.hear([{ ...ended, code: null, error: null, at }]);
  expect(list.row(0)?.task).toMatchObject({ status: "completed", returncode: 2, completed_at: at });
});

test("a filter and a search show other tasks, and clearing them shows all", async () => {
  const store = Store.of(3);
  store.tasks[1] = task(2, { status: "failed" });
  const list = new TaskList(store.backend, "desk");
  await list.want({ ...EVERYTHING, status: "failed" });
  expect([list.length, list.isFiltered]).toEqual([1, true]);
  await list.want({ ...EVERYTHING, text: "x" });
  expect([list.length, list.row(1)?.task.uid]).toEqual([2, uid(2)]);
  await list.want(EVERYTHING);
  expect([list.length, list.isFiltered]).toEqual([3, false]);
});

test("an open task shows how far it is, and goes when it ends", async () => {
  const store = new Store([task(1, { status: "in_progress", completed_at: null })]);
  const open = new OpenTasks(store.backend, "desk");
  open.read();
  await vi.waitFor(() => expect(open.list.length).toBe(1));
  const at = "2026-11-20T11:00:05Z";
  open.hear([
    { type: "progress", uid: uid(1), percent: 40, message: "building", at },
    { type: "output", uid: uid(1), stream: "stdout", offset: 0, n_bytes: 9, preview: "one\nlast\n" },
  ]);
  flushSync();
  expect(open.list[0]).toMatchObject({ percent: 40, message: "building", line: "last" });
  const status = "failed" as const;
  open.hear([{ type: "ended", uid: uid(1), status, returncode: null, code: null, error: null, at }]);
  expect(open.list.length).toBe(0);
});

/** A stream of which the middle was not kept. */
function streams(stdout: string, hole?: [number, number]) {
  const bytes = new TextEncoder().encode(stdout);
  let n = 0;
  const backend = {
    request: async (_: string, request: DeviceRequest): Promise<DeviceResponse> => {
      if (request.type !== "output") throw new Error(request.type);
      n += 1;
      const { BackendError } = await import("../backend/backend");
      if (hole && request.offset >= hole[0] && request.offset < hole[1]) {
        const hint = `go on at offset ${hole[1]}`;
        throw new BackendError("not kept", "range_not_satisfiable", hint);
      }
      const end = hole && request.offset < hole[0] ? hole[0] : bytes.length;
      const range = bytes.slice(request.offset, Math.min(request.offset + request.limit, end));
      const base64 = btoa(String.fromCharCode(...range));
      return { type: "output", offset: request.offset, base64, total: bytes.length, complete: true };
    },
  } as unknown as Backend;
  return { backend, asked: () => n };
}

test("what an event shows whole is not asked for again; the rest is read in order", async () => {
  const text = `short\n${"x".repeat(1_000)}\nend\n`;
  const { backend, asked } = streams(text);
  const output = new Output(backend, "desk", uid(1));
  const piece = (offset: number, n_bytes: number) =>
    ({ type: "output", uid: uid(1), stream: "stdout", offset, n_bytes, preview: text.slice(offset, offset + Math.min(n_bytes, 512)) }) as const;
  output.hear([piece(0, 6)]);
  expect(output.lines.list.map((line) => line.raw)).toEqual(["short"]);
  expect(asked()).toBe(0);
  output.hear([piece(6, 1_001), piece(6, 1_001), piece(1_007, 4)]);
  await vi.waitFor(() => expect(output.nBytes).toBe(text.length));
  expect(asked()).toBe(1);
  expect(output.lines.list.map((line) => line.raw)).toEqual(["short", "x".repeat(1_000), "end"]);
});

test("a hole is named, and what follows it is shown", async () => {
  const { backend } = streams(`head\n${"x".repeat(20)}tail\n`, [5, 25]);
  const output = new Output(backend, "desk", uid(1));
  output.addTotals(30, 0);
  await vi.waitFor(() => expect(output.lines.list.length).toBe(3));
  expect(output.lines.list[1]?.raw).toContain("20 bytes of stdout were not kept");
  expect(output.lines.list[2]?.raw).toBe("tail");
});

test("work that is asked for while it runs is done once more, not twice at once", async () => {
  let running = 0;
  let most = 0;
  let n = 0;
  const ask = once(async () => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    n += 1;
  }, 5);
  ask();
  ask();
  ask();
  await vi.waitFor(() => expect(n).toBe(2));
  expect(most).toBe(1);
});

test("an address names a view and perhaps a task", () => {
  expect(parseRoute("#/overview")).toEqual({ view: "overview", task: null });
  expect(parseRoute(`#/tasks/${uid(1)}`)).toEqual({ view: "tasks", task: uid(1) });
  expect(parseRoute("#/tasks/<script>")).toEqual({ view: "tasks", task: null });
  expect(parseRoute("")).toEqual({ view: "tasks", task: null });
  expect(parseRoute(hashOf({ view: "tasks", task: uid(2) })).task).toBe(uid(2));
});
