// What is known of the relay's health, kept fresh while somebody looks.

import { type Backend, BackendError } from "../backend/backend";
import type { Health } from "../protocol";

const REFRESH_MS = 5_000;

export type Known =
  | { kind: "asking" }
  | { kind: "answered"; health: Health }
  | { kind: "unreachable"; reason: string };

export class RelayHealth {
  known = $state<Known>({ kind: "asking" });
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Asks now and then again after every answer; the returned function ends it. */
  watch(): () => void {
    let next: ReturnType<typeof setTimeout> | undefined;
    let watching = true;
    const again = async () => {
      await this.refresh();
      if (watching) next = setTimeout(again, REFRESH_MS);
    };
    void again();
    return () => {
      watching = false;
      clearTimeout(next);
    };
  }

  async refresh(): Promise<void> {
    try {
      this.known = { kind: "answered", health: await this.#backend.health() };
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.known = { kind: "unreachable", reason: error.message };
    }
  }
}
