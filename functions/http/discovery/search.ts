import { createRoute, z } from "@hono/zod-openapi";
import { checkName, checkNamePart, LEVELS } from "../../../shared/binary/path.ts";
import { checkCursor, type SearchFilters, searchBinaries } from "../../../shared/binary/search.ts";
import { parseSha256 } from "../../../shared/blob.ts";
import type { App } from "../app.ts";
import { json } from "../schemas.ts";
import { ChildView, childView } from "./view.ts";

const MOST_TEXT = 1000;

const text = (description: string, most = 200) => z.string().max(most).optional().openapi({ description });

/** What can be asked for, with the words of the URL. One that is empty asks for nothing, as a form sends it. */
const FILTERS = {
  name: text("the first segment of the path"),
  "name-has": text("a part of it"),
  distribution: text("the second segment"),
  release: text("the third"),
  arch: text("the fourth"),
  format: text("deb, rpm, …", 20),
  version: text("as the format writes it: 1:2.10-3"),
  sha256: z
    .string()
    .regex(/^(?:[0-9a-fA-F]{64})?$/, "must be 64 hex digits")
    .optional(),
  built_by: text("as whoever sent it said", MOST_TEXT),
  ref: text("as whoever sent it said", MOST_TEXT),
  signed: z.enum(["true", "false", ""]).optional(),
};
const KNOWN = Object.keys(FILTERS).join(", ");
const Query = z.strictObject(
  {
    ...FILTERS,
    after: z
      .string()
      .max(MOST_TEXT * 2)
      .optional()
      .openapi({ description: "as `Link` says" }),
  },
  {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? `unknown filter ${(issue.keys ?? []).map((key) => JSON.stringify(String(key).slice(0, 60))).join(", ")}: known are ${KNOWN}`
        : undefined,
  },
);
type Query = z.infer<typeof Query>;

const FoundView = ChildView.extend({
  path: z.string().openapi({ example: "hello/debian/bookworm/amd64/hello_2.10-3_amd64.deb" }),
}).openapi("FoundBinary");
const Refusal = z.object({ msg: z.string(), message: z.string() }).openapi("DiscoveryError");

/** Binaries anywhere in the tree, by what is known of them. */
export function search(app: App): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/search",
      tags: ["discovery"],
      summary: "Find binaries that are all that is asked for",
      request: { query: Query },
      responses: {
        200: json(z.array(FoundView), "a page of them; as long as `Link` names another, there may be more"),
        400: json(Refusal, "an unknown filter, or one that nothing can match"),
      },
    }),
    async (c) => {
      const { ctx } = c.var;
      const query = c.req.valid("query");
      const after = query.after ? checkCursor(query.after) : undefined;
      const { found, next } = await searchBinaries(ctx, filtersOf(query), after);
      if (next !== undefined) {
        const following = new URLSearchParams({ ...givenIn(query), after: next });
        c.header("Link", `<${ctx.publicUrl}/search/?${following}>; rel="next"`);
      }
      const now = ctx.now();
      const told = found.map(({ segments, binary }) => {
        const name = segments.at(-1) ?? "";
        return { path: segments.join("/"), ...childView(ctx, segments.slice(0, -1), { name, node: binary }, now) };
      });
      return c.json(told, 200);
    },
  );
}

function givenIn({ after: _, ...query }: Query): Record<string, string> {
  return Object.fromEntries(Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

function filtersOf(query: Query): SearchFilters {
  const segment = (value: string | undefined, level: (typeof LEVELS)[number]) =>
    value ? checkName(value, LEVELS.indexOf(level)) : undefined;
  return {
    name: segment(query.name, "package"),
    nameHas: query["name-has"] ? checkNamePart(query["name-has"]) : undefined,
    distribution: segment(query.distribution, "distribution"),
    release: segment(query.release, "release"),
    architecture: segment(query.arch, "architecture"),
    format: query.format || undefined,
    version: query.version || undefined,
    sha256: query.sha256 ? parseSha256(query.sha256) : undefined,
    builtBy: query.built_by || undefined,
    ref: query.ref || undefined,
    signed: query.signed ? query.signed === "true" : undefined,
  };
}
