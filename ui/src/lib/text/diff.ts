// A unified diff, read into files, hunks and rows for two columns. Bounded: a diff is as long as the
// output it came in, and a line that fits no place is left out.

export interface DiffFile {
  path: string;
  /** Its name before, when that was another one. */
  before: string | null;
  status: "added" | "deleted" | "renamed" | "modified";
  added: number;
  deleted: number;
  isBinary: boolean;
  rows: DiffRow[];
}

/** One row of two columns; a column without a line is empty. */
export type DiffRow =
  | { type: "hunk"; heading: string }
  | { type: "same"; old: Line; new: Line }
  | { type: "changed"; old: Line | null; new: Line | null };

export interface Line {
  number: number;
  text: string;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)$/;

/** Reads what `git diff` or `git show` printed; text before the first file is not part of it. */
export function parseDiff(text: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | null = null;
  let oldAt = 0;
  let newAt = 0;
  let inHunk = false;
  let removed: Line[] = [];
  let added: Line[] = [];

  const flush = () => {
    for (let i = 0; i < Math.max(removed.length, added.length); i += 1) {
      file?.rows.push({ type: "changed", old: removed[i] ?? null, new: added[i] ?? null });
    }
    removed = [];
    added = [];
  };

  for (const line of text.split("\n")) {
    if (line.startsWith("diff --git ")) {
      flush();
      inHunk = false;
      file = {
        path: namesOf(line),
        before: null,
        status: "modified",
        added: 0,
        deleted: 0,
        isBinary: false,
        rows: [],
      };
      files.push(file);
      continue;
    }
    if (file === null) continue;
    const hunk = HUNK.exec(line);
    if (hunk !== null) {
      flush();
      inHunk = true;
      oldAt = Number(hunk[1]);
      newAt = Number(hunk[2]);
      file.rows.push({ type: "hunk", heading: line });
    } else if (!inHunk) {
      readHeader(file, line);
    } else if (line.startsWith("-")) {
      removed.push({ number: oldAt++, text: line.slice(1) });
      file.deleted += 1;
    } else if (line.startsWith("+")) {
      added.push({ number: newAt++, text: line.slice(1) });
      file.added += 1;
    } else if (line.startsWith(" ")) {
      flush();
      const same = line.slice(1);
      file.rows.push({
        type: "same",
        old: { number: oldAt++, text: same },
        new: { number: newAt++, text: same },
      });
    } else if (!line.startsWith("\\")) {
      flush();
      inHunk = false;
    }
  }
  flush();
  return files;
}

function readHeader(file: DiffFile, line: string) {
  const rest = (word: string) => (line.startsWith(word) ? line.slice(word.length) : null);
  if (line.startsWith("new file mode")) file.status = "added";
  else if (line.startsWith("deleted file mode")) file.status = "deleted";
  else if (line.startsWith("Binary files ") || line === "GIT binary patch") file.isBinary = true;
  const from = rest("rename from ");
  const to = rest("rename to ");
  if (from !== null) {
    file.status = "renamed";
    file.before = unquoted(from);
  }
  if (to !== null) file.path = unquoted(to);
  const name = rest("+++ ");
  if (name !== null && name !== "/dev/null") file.path = withoutSide(unquoted(trimmed(name)));
  const old = rest("--- ");
  if (old !== null && old !== "/dev/null" && file.status === "deleted") {
    file.path = withoutSide(unquoted(trimmed(old)));
  }
}

/** git ends a name that has a space in it with a tab. */
function trimmed(name: string): string {
  return name.endsWith("\t") ? name.slice(0, -1) : name;
}

/** `diff --git a/x b/x`: both names are the same, whatever is in them, unless the file was renamed. */
function namesOf(line: string): string {
  const names = line.slice("diff --git ".length);
  if (names.startsWith('"')) {
    const end = /^"(?:[^"\\]|\\.)*"/.exec(names)?.[0] ?? names;
    return withoutSide(unquoted(end));
  }
  return withoutSide(names.slice(0, (names.length - 1) / 2));
}

function withoutSide(name: string): string {
  return /^[a-z]\//.test(name) ? name.slice(2) : name;
}

/** git quotes names with unusual characters as C does, in bytes. */
export function unquoted(name: string): string {
  if (!name.startsWith('"') || !name.endsWith('"')) return name;
  const escapes: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  const inner = name.slice(1, -1);
  for (let i = 0; i < inner.length; i += 1) {
    const character = inner[i] ?? "";
    if (character !== "\\") {
      const whole = String.fromCodePoint(inner.codePointAt(i) ?? 0);
      bytes.push(...encoder.encode(whole));
      i += whole.length - 1;
      continue;
    }
    const octal = /^[0-3][0-7]{2}/.exec(inner.slice(i + 1));
    if (octal !== null) {
      bytes.push(Number.parseInt(octal[0], 8));
      i += 3;
    } else {
      const next = inner[i + 1] ?? "";
      bytes.push(escapes[next] ?? next.charCodeAt(0));
      i += 1;
    }
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

/** Where two lines differ: the length of what is the same at the beginning and at the end. */
export function commonEnds(a: string, b: string): [number, number] {
  const most = Math.min(a.length, b.length);
  let head = 0;
  while (head < most && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  return [head, tail];
}
