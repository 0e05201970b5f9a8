import { AppError } from "../../../shared/error.ts";
import type { App } from "../app.ts";

/** The words that stand before distribution, release and architecture in the long form of a path. */
const WORDS = ["distributions", "releases", "archs"];

/** `/packages/P/distributions/D/releases/R/archs/A/…`, and each beginning of it, leads to the short form with every method. */
export function longForm(app: App): void {
  app.all("/packages/:package/distributions/*", (c) => {
    const { pathname, search } = new URL(c.req.url);
    // As they were written, so that every sign arrives as it came.
    const [, , name = "", ...long] = pathname.split("/");
    const slash = long.at(-1) === "" && long.length > 1 ? "/" : "";
    const segments = slash === "" ? long : long.slice(0, -1);
    const short = [name];
    for (const [index, word] of WORDS.entries()) {
      const [told, value] = segments.slice(2 * index);
      if (told === undefined) break;
      if (told !== word) throw new AppError("not_found", `in the long form of a path ${word} stands before its name`);
      if (value !== undefined) short.push(value);
    }
    short.push(...segments.slice(2 * WORDS.length));
    return c.redirect(`${c.var.ctx.publicUrl}/packages/${short.join("/")}${slash}${search}`, 308);
  });
}
