// How tasks went lately, read again when something ended.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { TaskStatistics } from "../protocol";
import { once } from "./once";

/** How often the numbers are read at most. */
const READ_MS = 3_000;

export class Overview {
  hours = $state(24);
  statistics = $state.raw<TaskStatistics | null>(null);
  problem = $state<string | null>(null);
  readonly #read = once(() => this.#readAll(), READ_MS);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {
    this.#read();
  }

  want(hours: number): void {
    this.hours = hours;
    void this.#readAll();
  }

  hear(events: LiveEvent[]): void {
    if (events.some(({ type }) => type === "ended" || type === "queued" || type === "gap")) {
      this.#read();
    }
  }

  async #readAll(): Promise<void> {
    const { hours } = this;
    try {
      const answer = await this.backend.request(this.device, { type: "statistics", hours });
      if (answer.type === "statistics" && hours === this.hours) this.statistics = answer;
      this.problem = null;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.problem = error.message;
    }
  }
}
