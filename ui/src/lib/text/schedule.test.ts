import { expect, test } from "vitest";
import type { NewSchedule } from "../protocol";
import { draftOf, scheduleOf } from "./schedule";

const NIGHTLY: NewSchedule = {
  name: "nightly",
  when: "cron(0 2 * * *)",
  time_zone: "Europe/Berlin",
  missed: "once",
  max_age_seconds: 3_600,
  overlap: false,
  request: {
    action: { type: "shell", command: ["make", "the tests"], working_dir: "/work", timeout: 60 },
    priority: "batch",
    title: "Tests",
  },
};

test("a schedule that is not changed stays what it was", () => {
  expect(scheduleOf(draftOf(NIGHTLY), NIGHTLY)).toEqual(NIGHTLY);
});

test("what the form does not show is kept beside what was changed", () => {
  const draft = { ...draftOf(NIGHTLY), command: "make all | tail", dir: "" };
  const { request, ...rest } = scheduleOf(draft, NIGHTLY);
  expect(request).toEqual({
    action: { type: "shell", command: "make all | tail", timeout: 60 },
    priority: "batch",
    title: "Tests",
  });
  expect(rest).toMatchObject({ when: "cron(0 2 * * *)", missed: "once" });
  const git = scheduleOf({ ...draft, command: "git fetch" }, NIGHTLY);
  expect(git.request.action).toEqual({ type: "git", command: "git fetch" });
});

test("a new one has the device's own zone and directory unless it names others", () => {
  const draft = { ...draftOf(null), name: " fetch ", when: "every(5 minute)", command: "git fetch" };
  expect(scheduleOf(draft, null)).toEqual({
    name: "fetch",
    when: "every(5 minute)",
    missed: "skip",
    max_age_seconds: 86_400,
    overlap: false,
    request: { action: { type: "git", command: "git fetch" }, priority: "normal" },
  });
  expect(scheduleOf({ ...draft, zone: "UTC", dir: "/work" }, null)).toMatchObject({
    time_zone: "UTC",
    request: { action: { working_dir: "/work" } },
  });
});
