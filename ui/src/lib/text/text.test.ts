import { expect, test } from "vitest";
import { classes, PLAIN, plain, spans, styleAfter } from "./ansi";
import { actionOf, asCurl, commandText } from "./command";
import { commonEnds, parseDiff, unquoted } from "./diff";
import { LINE_CHARACTERS, Lines } from "./lines";
import { oneLine, visible } from "./visible";

const ESC = "\u001b";

test("colours become class names, and everything else a terminal obeys is taken out", () => {
  const line = `${ESC}[1;31mred${ESC}[0m ${ESC}]0;title\u0007${ESC}]8;;http://x\u0007link${ESC}]8;;${ESC}\\ ${ESC}[2Jend`;
  expect(spans(line, PLAIN).map(({ text, style }) => [text, classes(style)])).toEqual([
    ["red", "fg-c1 bold"],
    [" ", ""],
    ["link", ""],
    [" ", ""],
    ["end", ""],
  ]);
  expect(plain(line)).toBe("red link end");
});

test("a style lasts until it is changed, over lines", () => {
  const after = styleAfter(`${ESC}[38;5;196mred`, PLAIN);
  expect(after.fg).toBe("c9");
  expect(styleAfter("still red", after)).toEqual(after);
  expect(styleAfter(`${ESC}[m`, after)).toEqual(PLAIN);
});

test("what was overwritten is not shown", () => {
  expect(plain("10 %\r50 %\r100 %\r")).toBe("100 %");
});

test("what cannot be seen is written out", () => {
  expect(visible("a\u202eb\u0000c")).toBe("a‹U+202E›b␀c");
  expect(oneLine("one\ntwo\r\nthree\tfour")).toBe("one⏎two⏎three four");
  expect(oneLine("x".repeat(500), 10)).toBe(`${"x".repeat(10)}…`);
});

test("lines of the two streams do not mix, and long ones are cut", () => {
  const lines = new Lines();
  lines.append("out one\nout ", false);
  lines.append("error\n", true);
  lines.append("two\n", false);
  expect(lines.list.map((line) => [line.raw, line.isError])).toEqual([
    ["out one", false],
    ["out ", false],
    ["error", true],
    ["two", false],
  ]);
  const long = new Lines();
  long.append("x".repeat(1_000_000), false);
  expect(long.list.length).toBe(1_000_000 / LINE_CHARACTERS);
  expect(long.list.map((line) => line.raw).join("")).toHaveLength(1_000_000);
});

const DIFF = `diff --git a/src/a b.txt b/src/a b.txt
index 1..2 100644
--- a/src/a b.txt\t
+++ b/src/a b.txt\t
@@ -1,3 +1,3 @@ fn main()
 same
-old line
+new line
 end
\\ No newline at end of file
diff --git "a/\\303\\244\\n.txt" "b/\\303\\244\\n.txt"
new file mode 100644
--- /dev/null
+++ "b/\\303\\244\\n.txt"
@@ -0,0 +1 @@
+<script>alert(1)</script>
diff --git a/x b/y
similarity index 100%
rename from x
rename to y
diff --git a/z.png b/z.png
Binary files a/z.png and b/z.png differ
`;

test("a diff is read into files and rows of two columns", () => {
  const files = parseDiff(DIFF);
  expect(files.map((file) => [file.path, file.status, file.added, file.deleted])).toEqual([
    ["src/a b.txt", "modified", 1, 1],
    ["ä\n.txt", "added", 1, 0],
    ["y", "renamed", 0, 0],
    ["z.png", "modified", 0, 0],
  ]);
  expect(files[0]?.rows).toEqual([
    { type: "hunk", heading: "@@ -1,3 +1,3 @@ fn main()" },
    { type: "same", old: { number: 1, text: "same" }, new: { number: 1, text: "same" } },
    { type: "changed", old: { number: 2, text: "old line" }, new: { number: 2, text: "new line" } },
    { type: "same", old: { number: 3, text: "end" }, new: { number: 3, text: "end" } },
  ]);
  expect(files[2]?.before).toBe("x");
  expect(files[3]?.isBinary).toBe(true);
});

test("names are unquoted as git quotes them", () => {
  expect(unquoted('"a\\"\\\\\\t\\360\\237\\230\\200"')).toBe('a"\\\t😀');
  expect(unquoted("plain")).toBe("plain");
  expect(commonEnds("abcXdef", "abcYYdef")).toEqual([3, 3]);
});

test("a line becomes the action it means", () => {
  expect(actionOf(" git status ", "/w")).toEqual({
    type: "git",
    command: "git status",
    working_dir: "/w",
  });
  expect(actionOf("git log | head", null).type).toBe("shell");
  expect(actionOf("gitk", null).type).toBe("shell");
  expect(commandText({ type: "shell", command: ["echo", "it's"], timeout: 1 })).toBe("echo 'it'\\''s'");
});

test("what is copied as curl is one safe command", () => {
  const action = { type: "shell", command: "echo 'a' $(b)", timeout: 60 } as const;
  const line = asCurl("http://127.0.0.1:1", "desk", action);
  expect(line).toContain(`-d '{"device":"desk"`);
  expect(line).toContain("echo '\\''a'\\'' $(b)");
  expect(line).toContain("$DESKHAND_API_KEY");
});
