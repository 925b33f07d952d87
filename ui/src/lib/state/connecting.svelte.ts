// Connecting an assistant: its key, made once and shown once, and whether its first task has come.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { TaskView } from "../protocol";
import { once } from "./once";

/** How often it is looked whether a task came, at most. */
const LOOK_MS = 300;

export class Connecting {
  /** What the key is called, which is what the tasks of its holder say. */
  name = $state("");
  readsOnly = $state(false);
  /** The key, until another assistant is chosen. */
  secret = $state<string | null>(null);
  /** The newest task of its holder. */
  arrived = $state.raw<TaskView | null>(null);
  problem = $state<string | null>(null);
  readonly #look = once(() => this.#lookForTask(), LOOK_MS);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {}

  /** Begins with another assistant. */
  choose(name: string): void {
    this.name = name;
    this.secret = null;
    this.arrived = null;
    this.problem = null;
    this.#look();
  }

  async makeKey(): Promise<void> {
    this.problem = null;
    try {
      const answer = await this.backend.relay({
        type: "create_key",
        name: this.name.trim(),
        scopes: ["tasks:read", "tasks:run"],
        limits: { read_only: this.readsOnly, can_approve: false },
      });
      if (answer.type === "key_created") this.secret = answer.secret;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.problem = error.hint === null ? error.message : `${error.message}; ${error.hint}`;
    }
  }

  hear(events: LiveEvent[]): void {
    if (events.some(({ type }) => type === "queued" || type === "ended" || type === "gap")) this.#look();
  }

  async #lookForTask(): Promise<void> {
    const caller = this.name.trim();
    if (caller === "") return;
    try {
      const filter = { caller, limit: 1, skip: 0, count: false };
      const answer = await this.backend.request(this.device, { type: "list_tasks", ...filter });
      if (answer.type === "tasks" && caller === this.name.trim()) this.arrived = answer.tasks[0] ?? null;
    } catch (error) {
      // The next event looks again.
      if (!(error instanceof BackendError)) throw error;
    }
  }
}
