import type { Context as Request } from "hono";
import { html } from "hono/html";
import { findBinary, hasLapsed } from "../../../shared/binary/node.ts";
import type { Context } from "../../../shared/context.ts";
import { AppError } from "../../../shared/error.ts";
import { holdersOf } from "../../../shared/repo/holders.ts";
import type { Env } from "../app.ts";
import { type Commands, commandsFor } from "./install.ts";
import { CONTENT_SECURITY, type Markup, page, whenMarkup } from "./page.ts";
import { type ChildView, childView, discoveryUrl } from "./view.ts";

const MOST_REPOS = 50;

/** A page about one binary: what it is, and how to install it from each repo that carries it. Costs what `holdersOf` does. */
export async function info(c: Request<Env>, segments: readonly string[]) {
  const { ctx } = c.var;
  const name = segments.at(-1) ?? "";
  const binary = await findBinary(ctx, segments);
  if (!binary || hasLapsed(binary, ctx.now().toISOString())) throw new AppError("not_found", `no binary ${name}`);
  const view = childView(ctx, segments.slice(0, -1), { name, node: binary });
  const repos = binary.stored ? await commandsOf(ctx, binary.stored.sha256) : [];
  const facts = html`<dl>
<dt>State</dt><dd>${view.state === "stored" ? "stored" : "awaiting its bytes"}</dd>
<dt>Size</dt><dd>${sizeWords(view)}</dd>
<dt>Signed</dt><dd>${view.signed ? "yes" : "no"}</dd>
<dt>SHA-256</dt><dd><code>${view.sha256 ?? "not known yet"}</code></dd>
<dt>Last updated</dt><dd>${whenMarkup(view.last_updated_at, view.last_updated)}</dd>
${binary.stored?.problem === undefined ? "" : html`<dt>Problem</dt><dd>${binary.stored.problem}</dd>`}
</dl>
${binary.stored ? html`<p><a href="${discoveryUrl(ctx, segments)}">Download</a></p>` : ""}`;
  c.header("Content-Security-Policy", CONTENT_SECURITY);
  return c.html(await page(ctx, segments, html`${facts}\n<h2>Install</h2>\n${installMarkup(repos)}`), 200);
}

async function commandsOf(ctx: Context, sha256: Parameters<typeof holdersOf>[1]): Promise<Commands[]> {
  const holders = (await holdersOf(ctx, sha256)).filter(({ chain }) => chain.kind === "repo");
  return holders.slice(0, MOST_REPOS).map((holder) => commandsFor(ctx.publicUrl, holder));
}

function installMarkup(repos: readonly Commands[]): Markup {
  if (repos.length === 0) return html`<p>No repository carries it.</p>`;
  return html`${repos.map(
    ({ type, repo, lines }) =>
      html`<h3>${repo} <small>${type}</small></h3>\n<pre><code>${lines.join("\n")}</code></pre>\n`,
  )}`;
}

function sizeWords({ size, size_bytes: bytes }: ChildView): string {
  return typeof bytes === "number" ? `${size} (${bytes} bytes)` : "not known yet";
}
