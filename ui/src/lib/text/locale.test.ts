import { expect, test } from "vitest";
import { usable } from "./locale";

test("a language Intl refuses becomes English", () => {
  expect(usable("C")).toBe("en-US");
});

test("a real language stays", () => {
  expect(usable("de-AT")).toBe("de-AT");
});
