// A schedule as it is typed into a form, and back.

import type { Action, Missed, NewSchedule } from "../protocol";
import { actionOf, commandText, workingDir } from "./command";

/** What the form holds: text, as its fields do. */
export interface Draft {
  name: string;
  when: string;
  command: string;
  /** The path of a directory; the device's own default when empty. */
  dir: string;
  /** An IANA time zone; the device's own when empty. */
  zone: string;
  missed: Missed;
  maxAgeSeconds: number;
  overlap: boolean;
}

const DAY_SECONDS = 86_400;

/** Returns what a form shows of a schedule, or of a new one. */
export function draftOf(schedule: NewSchedule | null): Draft {
  if (schedule === null) {
    return {
      name: "",
      when: "",
      command: "",
      dir: "",
      zone: "",
      missed: "skip",
      maxAgeSeconds: DAY_SECONDS,
      overlap: false,
    };
  }
  const { action } = schedule.request;
  return {
    name: schedule.name,
    when: schedule.when,
    command: commandText(action),
    dir: workingDir(action) ?? "",
    zone: schedule.time_zone ?? "",
    missed: schedule.missed,
    maxAgeSeconds: schedule.max_age_seconds,
    overlap: schedule.overlap,
  };
}

/** Returns the schedule a form asks for. What the form does not show stays as it was before. */
export function scheduleOf(draft: Draft, before: NewSchedule | null): NewSchedule {
  const zone = draft.zone.trim();
  const action = changed(draft, before?.request.action ?? null);
  return {
    name: draft.name.trim(),
    when: draft.when.trim(),
    ...(zone === "" ? {} : { time_zone: zone }),
    missed: draft.missed,
    max_age_seconds: draft.maxAgeSeconds,
    overlap: draft.overlap,
    request: before === null ? { action, priority: "normal" } : { ...before.request, action },
  };
}

function changed(draft: Draft, before: Action | null): Action {
  const dir = draft.dir.trim();
  const isSame = (action: Action) =>
    commandText(action) === draft.command.trim() && (workingDir(action) ?? "") === dir;
  // A list of words stays one, and an echo an echo, as long as nobody changes it.
  if (before !== null && isSame(before)) return before;
  const action = actionOf(draft.command, dir === "" ? null : dir);
  if (before?.type !== action.type) return action;
  // Its timeout, its network and the like are not asked for in the form.
  const { working_dir: _, ...rest } = before as Action & { working_dir?: string };
  return { ...rest, ...action } as Action;
}
