// What happens on the device, handed on once a frame: a burst of events is one change of the page.

import type { LiveEvent } from "../backend/backend";

/** Where no frame is drawn, because nobody looks. */
const HIDDEN_MS = 250;

export type Hear = (events: LiveEvent[]) => void;

export class Live {
  readonly #listeners = new Set<Hear>();
  #waiting: LiveEvent[] = [];
  #isScheduled = false;

  /** Hears of events until the returned function is called. */
  subscribe(hear: Hear): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  push(event: LiveEvent): void {
    this.#waiting.push(event);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const flush = () => this.flush();
    if (document.hidden) setTimeout(flush, HIDDEN_MS);
    else requestAnimationFrame(flush);
  }

  flush(): void {
    this.#isScheduled = false;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) for (const hear of this.#listeners) hear(events);
  }
}
