/** Text that is already HTML; everything else is escaped on its way into a page. */
export interface Html {
  readonly html: string;
}

type Insert = Html | string | number | undefined | false | readonly Html[];

/** A template that escapes what is put into it: names and messages come from outside. */
export function html(parts: TemplateStringsArray, ...inserts: readonly Insert[]): Html {
  const text = parts.reduce((page, part, index) => `${page}${render(inserts[index - 1])}${part}`);
  return { html: text };
}

function render(insert: Insert): string {
  if (insert === undefined || insert === false) return "";
  if (typeof insert === "string" || typeof insert === "number") return escapeText(String(insert));
  return "html" in insert ? insert.html : insert.map((item) => item.html).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
