import { expect, test } from "vitest";
import { type Block, filled, guides, type Span } from "./guide";

const own = { relay: "https://relay.example.com", key: "dh_abc_secret" };
/** Pages about more than one caller. */
const ABOUT_ALL = ["README", "oauth", "hooks"];
const PAGES = import.meta.glob("../../../../docs/callers/*.md", { query: "?raw", import: "default" });

test("every page of the documentation is a guide, and each says what to paste where", () => {
  const found = guides();
  const pages = Object.keys(PAGES).map((path) => path.replace(/.*\/|\.md$/g, ""));
  expect(found.map(({ id }) => id).sort()).toEqual(pages.filter((id) => !ABOUT_ALL.includes(id)).sort());
  for (const { id, signsIn, blocks } of found) {
    const code = JSON.stringify(blocks);
    if (!signsIn) expect(code, id).toMatch(/RELAY\//);
    expect(code, id).not.toMatch(/```|\*\*|\]\(/);
  }
  expect(found.filter(({ isHosted }) => !isHosted).map(({ id }) => id)).toContain("claude-code");
  expect(found.filter(({ isHosted }) => isHosted).map(({ id }) => id)).toContain("custom-gpt");
});

test("the owner's address and key stand where the pages name them", () => {
  const guide = guides().find(({ id }) => id === "claude-code");
  const snippet = guide?.blocks.find((block): block is Block & { kind: "code" } => block.kind === "code");
  expect(filled(snippet?.text ?? "", own)).toBe(
    'claude mcp add --transport http deskhand https://relay.example.com/key/mcp --header "Authorization: Bearer dh_abc_secret"',
  );
  expect(filled("DESKHAND_API_KEY=KEY", own)).toBe("DESKHAND_API_KEY=dh_abc_secret");
});

test("the Markdown that the pages use is read", () => {
  const table = "| a bc | `/x` | yes | [x.md](x.md) |";
  const page = "# X\n\nOne `code`\nand *more*.\n\n1. First\n   goes on\n2. **Second**\n\n```\nx\n```\n\n- [link](y.md)\n";
  const [guide] = guides({ "/README.md": table, "/x.md": page });
  const text = (spans: Span[]) => spans.map(({ kind, text }) => `${kind}:${text}`).join("|");
  expect(guide?.title).toBe("Bc");
  expect(guide?.blocks.map((block) => (block.kind === "code" ? block.text : block.kind === "list" ? block.items.map(text) : text(block.spans)))).toEqual([
    "text:One |code:code|text: and |em:more|text:.",
    ["text:First goes on", "strong:Second"],
    "x",
    ["text:link"],
  ]);
});
