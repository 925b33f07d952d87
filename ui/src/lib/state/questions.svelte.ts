// The questions that wait for the owner.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { Answer, QuestionView } from "../protocol";
import { once } from "./once";

/** How often the questions are read at most: a card is seen before its reader has looked up. */
const READ_MS = 50;

export class Questions {
  list = $state.raw<QuestionView[]>([]);
  readonly read = once(() => this.#readAll(), READ_MS);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {}

  hear(events: LiveEvent[]): void {
    const matters = ({ type }: LiveEvent) =>
      type === "asked" || type === "answered" || type === "gap" || type === "ended";
    const asked = events.some(({ type }) => type === "asked" || type === "gap");
    if (asked || (this.list.length > 0 && events.some(matters))) this.read();
  }

  /** Answers; rejects with a `BackendError`. */
  async answer(question: QuestionView, answer: Answer): Promise<void> {
    await this.backend.answer(question, answer);
    this.list = this.list.filter((other) => other.digest !== question.digest);
  }

  async #readAll(): Promise<void> {
    try {
      const answer = await this.backend.request(this.device, { type: "list_approvals" });
      if (answer.type === "approvals") this.list = answer.questions;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    }
  }
}
