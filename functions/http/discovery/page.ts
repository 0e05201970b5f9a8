import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Context } from "../../../shared/context.ts";
import { discoveryUrl } from "./view.ts";

/** Text that is escaped already, as `html` makes it. */
export type Markup = ReturnType<typeof html>;

// Narrow screens show each row of a table as a block of its own.
const STYLE = `
:root{color-scheme:light dark;--line:#8885}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem}
nav ol{display:flex;flex-wrap:wrap;gap:.25rem;list-style:none;margin:0;padding:0}
nav li+li::before{content:"/";margin-right:.25rem;opacity:.6}
h1,a,code,dd{overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.2}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
small{opacity:.75}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}
dt{opacity:.75}
dd{margin:0}
pre{padding:.75rem;border:1px solid var(--line);border-radius:.25rem;overflow-x:auto;user-select:all}
@media (max-width:40rem){
thead{position:absolute;left:-100vw}
tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
td{display:flex;gap:1rem;padding:.1rem 0;border:0}
td::before{content:attr(data-label);flex:0 0 5rem;opacity:.75}
td:empty{display:none}
dl{grid-template-columns:1fr}
}
`;

/** Nothing runs and nothing is fetched: all a page needs is its own style, named by its hash. */
export const CONTENT_SECURITY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A whole page about a level or a binary of the tree, with the way back up. */
export async function page(
  ctx: Pick<Context, "publicUrl">,
  segments: readonly string[],
  content: Markup,
): Promise<string> {
  const title = segments.length === 0 ? "Packages" : segments.join(" / ");
  return String(
    await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} – Packhouse</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<nav aria-label="Breadcrumb"><ol>${crumbs(ctx, segments)}</ol></nav>
<main>
<h1>${segments.at(-1) ?? "Packages"}</h1>
${content}
</main>
</body>
</html>
`,
  );
}

function crumbs(ctx: Pick<Context, "publicUrl">, segments: readonly string[]): Markup[] {
  const all = ["packages", ...segments];
  return all.map((name, index) =>
    index === all.length - 1
      ? html`<li><span aria-current="page">${name}</span></li>`
      : html`<li><a href="${discoveryUrl(ctx, segments.slice(0, index))}/">${name}</a></li>`,
  );
}

/** "2026-11-21 12:00 UTC", with how long that is ago. */
export function whenMarkup(at: string, words: string): Markup {
  const [, day = at, minute = ""] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(at) ?? [];
  return html`<time datetime="${at}">${day} ${minute} UTC <small>${words}</small></time>`;
}
