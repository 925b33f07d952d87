// The box a command is typed into: what was typed before, and where it runs.

import { type Backend, BackendError } from "../backend/backend";
import type { TaskView } from "../protocol";
import { actionOf, commandText } from "../text/command";

const MOST_HISTORY = 50;

export class CommandBox {
  line = $state("");
  /** The workspace's path; the device's own default when empty. */
  workspace = $state("");
  problem = $state<string | null>(null);
  isSending = $state(false);
  #history: string[] = [];
  #place = -1;
  #draft = "";

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {
    void this.#readHistory();
  }

  /** Sends the command; returns the task, or nothing when it was refused. */
  async send(): Promise<TaskView | null> {
    const line = this.line.trim();
    if (line === "" || this.isSending) return null;
    this.isSending = true;
    this.problem = null;
    try {
      const action = actionOf(line, this.workspace === "" ? null : this.workspace);
      const task = await this.backend.submit({ action, device: this.device, priority: "normal" });
      this.#history = [line, ...this.#history.filter((old) => old !== line)].slice(0, MOST_HISTORY);
      this.line = "";
      this.#place = -1;
      return task;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.problem = error.hint === null ? error.message : `${error.message}; ${error.hint}`;
      return null;
    } finally {
      this.isSending = false;
    }
  }

  /** Goes back (1) or forth (-1) through what was typed before. */
  recall(step: 1 | -1): void {
    if (this.#place === -1) this.#draft = this.line;
    const place = Math.max(-1, Math.min(this.#place + step, this.#history.length - 1));
    if (place === this.#place) return;
    this.#place = place;
    this.line = place === -1 ? this.#draft : (this.#history[place] ?? "");
  }

  get history(): readonly string[] {
    return this.#history;
  }

  /** What was sent from a viewer before is in the device's store. */
  async #readHistory(): Promise<void> {
    try {
      const answer = await this.backend.request(this.device, {
        type: "list_tasks",
        source: "viewer",
        limit: MOST_HISTORY,
        skip: 0,
        count: false,
      });
      if (answer.type !== "tasks") return;
      const lines = answer.tasks.map((task) => commandText(task.action));
      this.#history = [...new Set([...this.#history, ...lines])];
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    }
  }
}
