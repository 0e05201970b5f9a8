import { html } from "hono/html";
import { LEVELS } from "../../../shared/binary/path.ts";
import type { Context } from "../../../shared/context.ts";
import type { ToldLevel } from "./listing.ts";
import { type Markup, page, whenMarkup } from "./page.ts";
import { childView, discoveryUrl } from "./view.ts";

/** What a browser sees of a level. */
export function listingPage(ctx: Context, told: ToldLevel, now: Date): Promise<string> {
  const { segments, children, next } = told;
  const isLast = segments.length === LEVELS.length - 1;
  const table = html`<table>
<thead><tr><th>Name</th>${isLast ? html`<th>Size</th><th>Signed</th>` : ""}<th>Last updated</th>${isLast ? html`<th></th>` : ""}</tr></thead>
<tbody>
${children.map((child) => row(ctx, segments, child, now))}
</tbody>
</table>`;
  return page(
    ctx,
    segments,
    html`${children.length === 0 ? html`<p>Nothing is here yet.</p>` : table}
${next === undefined ? "" : html`<p><a rel="next" href="${next}">Next page</a></p>`}`,
  );
}

function row(ctx: Context, above: readonly string[], child: ToldLevel["children"][number], now: Date): Markup {
  const url = discoveryUrl(ctx, [...above, child.name]);
  const view = childView(ctx, above, child, now);
  const when = html`<td data-label="Updated">${whenMarkup(view.last_updated_at, view.last_updated)}</td>`;
  if (view.state === undefined) {
    return html`<tr><td data-label="Name"><a href="${url}/">${child.name}</a></td>${when}</tr>\n`;
  }
  const name =
    view.state === "stored" ? html`<a href="${url}">${child.name}</a>` : html`${child.name} <small>awaited</small>`;
  return html`<tr><td data-label="Name">${name}</td><td data-label="Size">${view.size ?? ""}</td><td data-label="Signed">${
    view.signed ? "yes" : "no"
  }</td>${when}<td data-label=""><a href="${url}?info">install</a></td></tr>\n`;
}
