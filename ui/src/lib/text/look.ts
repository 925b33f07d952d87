// How the state of a task looks: a drawing, a colour and a word, the same wherever it is shown.

import type { TaskStatus } from "../protocol";
import { t } from "../strings";

/** What a colour means. The colours themselves are `.tone-…` in `app.css`. */
export type Tone = "plain" | "good" | "bad" | "warn" | "run";

const LOOKS = {
  pending: ["wait", "plain"],
  awaiting_approval: ["ask", "warn"],
  in_progress: ["play", "run"],
  completed: ["check", "good"],
  failed: ["cross", "bad"],
  cancelled: ["ban", "plain"],
  expired: ["wait", "plain"],
} as const satisfies Record<TaskStatus, [string, Tone]>;

export interface Look {
  icon: (typeof LOOKS)[TaskStatus][0];
  tone: Tone;
  text: string;
}

/** Returns how a task looks; a command that ran to its end and failed looks failed. */
export function lookOf(status: TaskStatus, returncode: number | null): Look {
  if (status === "completed" && returncode !== null && returncode !== 0) {
    return { icon: "cross", tone: "bad", text: t.exit(returncode) };
  }
  const [icon, tone] = LOOKS[status];
  return { icon, tone, text: t.status[status] };
}
