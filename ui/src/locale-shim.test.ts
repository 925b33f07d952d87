import { afterEach, expect, test, vi } from "vitest";

function pretend(language: string) {
  Object.defineProperty(navigator, "language", { value: language, configurable: true });
}

afterEach(() => vi.resetModules());

test("a language Intl refuses becomes English", async () => {
  pretend("C");
  await import("./locale-shim");
  expect(navigator.language).toBe("en-US");
  expect(navigator.languages).toEqual(["en-US"]);
});

test("a real language stays", async () => {
  pretend("de-AT");
  await import("./locale-shim");
  expect(navigator.language).toBe("de-AT");
});
