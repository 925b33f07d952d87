// The schedules of a device, and the one whose runs are looked at.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { DeviceRequest, ScheduledRun, ScheduleView } from "../protocol";
import { once } from "./once";

export type Listing =
  | { kind: "reading" }
  | { kind: "shown"; schedules: ScheduleView[] }
  | { kind: "failed"; problem: string };

export interface Runs {
  name: string;
  upcoming: string[];
  past: ScheduledRun[];
}

export class Schedules {
  listing = $state.raw<Listing>({ kind: "reading" });
  /** The runs of the one that is looked at. */
  runs = $state.raw<Runs | null>(null);
  /** Why the last change was refused. */
  problem = $state<string | null>(null);
  readonly read = once(() => this.#readAll(), 500);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {}

  hear(events: LiveEvent[]): void {
    const news = ["queued", "ended", "left_out", "device", "gap"];
    if (events.some(({ type }) => news.includes(type))) this.read();
  }

  /** Looks at the runs of one, or at none. */
  async look(name: string | null): Promise<void> {
    if (name === null) this.runs = null;
    else await this.#attempt(() => this.#readRuns(name));
  }

  /** Asks for a change; returns whether it was made. */
  change(request: DeviceRequest): Promise<boolean> {
    return this.#attempt(async () => {
      await this.backend.request(this.device, request);
      if (request.type === "remove_schedule" && this.runs?.name === request.name) this.runs = null;
      await this.#readAll();
    });
  }

  /** Starts a run now; returns its task. */
  async run(name: string): Promise<string | null> {
    let uid: string | null = null;
    await this.#attempt(async () => {
      const answer = await this.backend.request(this.device, { type: "run_schedule", name });
      if (answer.type === "task_opened") uid = answer.task.uid;
    });
    return uid;
  }

  async #attempt(work: () => Promise<void>): Promise<boolean> {
    this.problem = null;
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.problem = error.hint === null ? error.message : `${error.message}; ${error.hint}`;
      return false;
    }
  }

  async #readAll(): Promise<void> {
    try {
      const answer = await this.backend.request(this.device, { type: "list_schedules" });
      if (answer.type === "schedules") this.listing = { kind: "shown", schedules: answer.schedules };
      if (this.runs !== null) await this.#readRuns(this.runs.name);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.listing = { kind: "failed", problem: error.message };
    }
  }

  async #readRuns(name: string): Promise<void> {
    const answer = await this.backend.request(this.device, { type: "get_schedule", name });
    if (answer.type !== "schedule") return;
    this.runs = { name, upcoming: answer.upcoming, past: answer.runs };
  }
}
