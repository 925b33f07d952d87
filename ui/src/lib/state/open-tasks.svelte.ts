// The tasks that have not ended, with how far they are.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { TaskView } from "../protocol";
import { once } from "./once";

/** How often the open tasks are read at most. */
const READ_MS = 100;

/** Tasks whose events are read to know how far they are; of more the next events tell. */
const MOST_CAUGHT_UP = 8;

/** Tasks whose progress is remembered before they are listed. */
const MOST_EARLY = 200;

/** Characters of the last line of output that are shown. */
const LINE_CHARACTERS = 160;

export class OpenTask {
  task = $state.raw() as TaskView;
  percent = $state<number | null>(null);
  message = $state("");
  /** The last line it printed, as far as its events show it. */
  line = $state("");

  constructor(task: TaskView) {
    this.task = task;
  }
}

export class OpenTasks {
  list = $state.raw<OpenTask[]>([]);
  readonly #ended = new Set<string>();
  /** How far tasks are that are not listed yet. */
  readonly #early = new Map<string, { percent: number | null; message: string }>();
  readonly #read = once(() => this.#readAll(), READ_MS);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {}

  read(): void {
    this.#read();
  }

  find(uid: string): OpenTask | undefined {
    return this.list.find((open) => open.task.uid === uid);
  }

  /** Takes in what happened. */
  hear(events: LiveEvent[]): void {
    const known = new Map(this.list.map((open) => [open.task.uid, open]));
    const lines = new Map<string, string>();
    let hasUnknown = false;
    let hasEnded = false;
    for (const event of events) {
      if (event.type === "gap") hasUnknown = true;
      if (!("uid" in event)) continue;
      const open = known.get(event.uid);
      if (event.type === "ended") {
        this.#ended.add(event.uid);
        hasEnded ||= open !== undefined;
      } else if (open === undefined) {
        hasUnknown ||= !this.#ended.has(event.uid);
        if (event.type === "progress" && this.#early.size < MOST_EARLY) {
          const before = this.#early.get(event.uid)?.percent ?? null;
          const { percent, message } = event;
          this.#early.set(event.uid, { percent: percent ?? before, message });
        }
      }
      if (open === undefined || event.type === "ended") continue;
      if (event.type === "progress") {
        open.percent = event.percent ?? open.percent;
        // That a task still runs is told without a message.
        open.message = event.message || open.message;
      } else if (event.type === "output") lines.set(event.uid, event.preview);
      else if (event.type === "started") {
        open.task = { ...open.task, status: "in_progress", started_at: event.at };
      } else if (event.type === "asked") open.task = { ...open.task, status: "awaiting_approval" };
    }
    for (const [uid, preview] of lines) {
      const line = preview.trimEnd().split("\n").at(-1);
      const open = known.get(uid);
      if (open !== undefined && line) open.line = line.slice(-LINE_CHARACTERS);
    }
    if (hasEnded) this.list = this.list.filter((open) => !this.#ended.has(open.task.uid));
    if (hasUnknown) this.#read();
  }

  /** Reads how far a task is that was there before the page: its events know. */
  async #catchUp(open: OpenTask): Promise<void> {
    const request = { type: "events", task_id: open.task.uid, after: 0 } as const;
    const answer = await this.backend.request(this.device, request).catch(() => null);
    if (answer?.type !== "events") return;
    for (const { kind } of answer.events) {
      if (kind.type !== "progress_made") continue;
      open.percent = kind.percent ?? open.percent;
      open.message = kind.message || open.message;
    }
  }

  #begin(task: TaskView): OpenTask {
    const open = new OpenTask(task);
    const early = this.#early.get(task.uid);
    if (early !== undefined) {
      open.percent = early.percent;
      open.message = early.message;
      this.#early.delete(task.uid);
    }
    return open;
  }

  async #readAll(): Promise<void> {
    try {
      const answer = await this.backend.request(this.device, {
        type: "list_tasks",
        is_open: true,
        limit: 100,
        skip: 0,
        count: false,
      });
      if (answer.type !== "tasks") return;
      const known = new Map(this.list.map((open) => [open.task.uid, open]));
      const tasks = answer.tasks.filter((task) => !this.#ended.has(task.uid));
      this.list = tasks.map((task) => {
        const open = known.get(task.uid);
        if (open === undefined) return this.#begin(task);
        open.task = task;
        return open;
      });
      const news = this.list.filter(({ task }) => !known.has(task.uid) && task.status === "in_progress");
      for (const open of news.slice(0, MOST_CAUGHT_UP)) void this.#catchUp(open);
      // What is not listed any more need not be remembered.
      if (this.#ended.size > 1_000) this.#ended.clear();
      this.#early.clear();
    } catch (error) {
      // The next event asks again.
      if (!(error instanceof BackendError)) throw error;
    }
  }
}
