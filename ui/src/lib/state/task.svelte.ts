// One task: what was asked, what happened, what it printed.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { Event, TaskView } from "../protocol";
import { once } from "./once";
import { Output } from "./output.svelte";

/** Pages of events that are read; the output behind them is read by its length. */
const MOST_PAGES = 20;

type Shown = { kind: "reading" } | { kind: "shown"; task: TaskView } | { kind: "failed"; problem: string };

export class OneTask {
  shown = $state.raw<Shown>({ kind: "reading" });
  events = $state.raw<Event[]>([]);
  percent = $state<number | null>(null);
  message = $state("");
  isCancelling = $state(false);
  readonly output: Output;
  #after = 0;
  readonly #read = once(() => this.#readAll(), 100);

  constructor(
    readonly backend: Backend,
    readonly device: string,
    readonly uid: string,
  ) {
    this.output = new Output(backend, device, uid);
    this.#read();
  }

  stop(): void {
    this.output.stop();
  }

  /** Takes in what happened. */
  hear(events: LiveEvent[]): void {
    const mine = events.filter((event) => !("uid" in event) || event.uid === this.uid);
    for (const event of mine) {
      if (event.type === "progress") {
        this.percent = event.percent ?? this.percent;
        this.message = event.message;
      } else if (event.type === "ended") this.#end(event);
    }
    this.output.hear(mine);
    // Output and progress come by themselves; everything else is worth another look.
    if (mine.some((event) => event.type !== "output" && event.type !== "progress")) this.#read();
  }

  /** Shows the end at once; the result follows. */
  #end(event: LiveEvent & { type: "ended" }): void {
    this.isCancelling = false;
    if (this.shown.kind !== "shown") return;
    const { status, returncode, code, error, at } = event;
    const task = { ...this.shown.task, status, returncode, code, error, completed_at: at };
    this.shown = { kind: "shown", task };
  }

  async cancel(): Promise<void> {
    this.isCancelling = true;
    try {
      await this.backend.cancel(this.uid);
    } catch (error) {
      this.isCancelling = false;
      if (!(error instanceof BackendError)) throw error;
    }
  }

  async #readAll(): Promise<void> {
    try {
      const task_id = this.uid;
      const answer = await this.backend.request(this.device, { type: "get_task", task_id });
      if (answer.type !== "task") return;
      this.shown = { kind: "shown", task: answer.task };
      await this.#readEvents();
      const outcome = answer.task.result?.outcome;
      if (outcome !== undefined) {
        this.output.addTotals(outcome.n_stdout_bytes, outcome.n_stderr_bytes);
      }
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      if (this.shown.kind !== "shown") this.shown = { kind: "failed", problem: error.message };
    }
  }

  async #readEvents(): Promise<void> {
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const request = { type: "events", task_id: this.uid, after: this.#after } as const;
      const answer = await this.backend.request(this.device, request);
      if (answer.type !== "events" || answer.events.length === 0) return;
      this.#after = answer.events.at(-1)?.seq ?? this.#after;
      this.events = [...this.events, ...answer.events];
      this.output.addEvents(answer.events);
      for (const { kind } of answer.events) {
        if (kind.type !== "progress_made") continue;
        this.percent = kind.percent ?? this.percent;
        this.message = kind.message || this.message;
      }
      if (!answer.has_more) return;
    }
  }
}
