// The pages of `docs/callers`, as the viewer shows them: one text for who reads the documentation and for
// who connects an assistant here. Only the Markdown those pages use is read.

const PAGES = import.meta.glob<string>("../../../../docs/callers/*.md", {
  query: "?raw",
  import: "default",
  eager: true,
});

export type Span = { kind: "text" | "code" | "strong" | "em"; text: string };

export type Block =
  | { kind: "paragraph"; spans: Span[] }
  | { kind: "code"; text: string }
  | { kind: "list"; isOrdered: boolean; items: Span[][] };

/** A caller, and how it is connected. */
export interface Guide {
  /** Its page's name, and the name proposed for its key. */
  id: string;
  title: string;
  /** Whether it calls from afar, and so needs an address that is reached from there. */
  isHosted: boolean;
  /** Whether it signs in by itself instead of being given a key. */
  signsIn: boolean;
  blocks: Block[];
}

/** What stands for the owner's own in the pages. */
export interface Own {
  relay: string;
  /** The key, or what stands for it. */
  key: string;
}

/** Returns the guides in the order of the table of `docs/callers/README.md`. */
export function guides(pages: Record<string, string> = PAGES): Guide[] {
  const named = new Map(Object.entries(pages).map(([path, text]) => [path.split("/").at(-1) ?? "", text]));
  const found: Guide[] = [];
  for (const line of (named.get("README.md") ?? "").split("\n")) {
    const [, caller, door, reaches, page] = line.split("|").map((cell) => cell.trim());
    const file = /\((?<file>[\w-]+\.md)\)/.exec(page ?? "")?.groups?.file;
    const text = file === undefined ? undefined : named.get(file);
    if (caller === undefined || door === undefined || reaches === undefined || text === undefined) continue;
    found.push({
      id: file?.replace(/\.md$/, "") ?? "",
      title: caller.replace(/^an? (.)/, (_, letter: string) => letter.toUpperCase()),
      isHosted: !/^(yes|where they run)/.test(reaches),
      signsIn: /OAuth/.test(door),
      blocks: blocksOf(text),
    });
  }
  return found;
}

/** Puts the owner's own address and key where their names stand; in code alone, so that prose stays prose. */
export function filled(text: string, { relay, key }: Own): string {
  return text.replace(/\bRELAY\b/g, () => relay).replace(/\bKEY\b/g, () => key);
}

function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = page.split("\n").filter((line, i) => i > 0 || !line.startsWith("# "));
  for (let i = 0; i < lines.length; i += 1) {
    const line = lines[i] ?? "";
    const last = blocks.at(-1);
    const item = /^(?<mark>-|\d+\.) (?<text>.*)/.exec(line)?.groups;
    if (line.startsWith("```")) {
      const end = lines.indexOf("```", i + 1);
      blocks.push({ kind: "code", text: lines.slice(i + 1, end).join("\n") });
      i = end;
    } else if (item !== undefined) {
      const isOrdered = item.mark !== "-";
      const text = spansOf(joined(item.text ?? "", lines, i));
      if (last?.kind === "list" && last.isOrdered === isOrdered) last.items.push(text);
      else blocks.push({ kind: "list", isOrdered, items: [text] });
    } else if (line !== "" && !line.startsWith(" ") && (lines[i - 1] ?? "") === "") {
      blocks.push({ kind: "paragraph", spans: spansOf(joined(line, lines, i)) });
    }
  }
  return blocks;
}

/** Returns a line with those that go on after it. */
function joined(line: string, lines: string[], at: number): string {
  const isMore = (next: string | undefined) => next !== undefined && next !== "" && !/^(-|\d+\.|```|#)/.test(next);
  let text = line;
  for (let i = at + 1; isMore(lines[i]); i += 1) text += ` ${lines[i]?.trim()}`;
  return text;
}

function spansOf(text: string): Span[] {
  const marked = /`(?<code>[^`]+)`|\*\*(?<strong>[^*]+)\*\*|\*(?<em>[^*]+)\*|\[(?<link>[^\]]+)\]\([^)]*\)/g;
  const spans: Span[] = [];
  let from = 0;
  for (const match of text.matchAll(marked)) {
    if (match.index > from) spans.push({ kind: "text", text: text.slice(from, match.index) });
    const { code, strong, em, link = "" } = match.groups ?? {};
    if (code !== undefined) spans.push({ kind: "code", text: code });
    else if (strong !== undefined) spans.push({ kind: "strong", text: strong });
    else if (em !== undefined) spans.push({ kind: "em", text: em });
    else spans.push({ kind: "text", text: link });
    from = match.index + match[0].length;
  }
  if (from < text.length) spans.push({ kind: "text", text: text.slice(from) });
  return spans;
}
