import { createRoute, z } from "@hono/zod-openapi";
import { headOf } from "../../../shared/commit.ts";
import type { Repo } from "../../../shared/repo/repo.ts";
import { Rotation, rotateKey } from "../../../shared/repo/rotate.ts";
import type { App } from "../app.ts";
import { json, problem } from "../schemas.ts";
import { ByName, oneNamed } from "./named.ts";

export const OldKey = z.object({ key_id: z.string(), until: z.string() });
const Rotated = z
  .object({ key_id: z.string(), old_keys: z.array(OldKey), commit: z.int() })
  .openapi("Rotated", { description: "old_keys sign beside the new one, each until its time" });

/** The keys that a repo signs with. A private key goes in and never comes out. */
export function repoKeys(app: App): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/repo/{name}/key/rotate",
      tags: ["repositories"],
      summary: "Give a repo a new key",
      description:
        "For the time of the overlap (default 30 days) the keys before sign too and stand in key.asc and key.gpg, then the new one alone. Without `key` a new one is made.",
      request: {
        ...ByName,
        body: { ...json(Rotation, 'such as {"overlap": "30 days"}, with an armored private key at will') },
      },
      responses: {
        200: json(Rotated, "both sign now"),
        400: problem("wrong"),
        401: problem("no token"),
        404: problem("unknown"),
        409: problem("another rotation was first"),
        422: problem("a key that cannot sign"),
      },
    }),
    async (c) => {
      const { ctx } = c.var;
      const repo = await oneNamed(ctx, c.req.valid("param").name, c.req.valid("query").type);
      const rotated = await rotateKey(ctx, repo, c.req.valid("json") ?? {});
      const { number } = await headOf(ctx, rotated);
      return c.json({ key_id: rotated.signing[0]?.keyId ?? "", old_keys: oldKeysOf(rotated), commit: number }, 200);
    },
  );
}

/** The keys that sign beside the newest one. */
export function oldKeysOf({ signing }: Repo): z.infer<typeof OldKey>[] {
  return signing.slice(1).flatMap(({ keyId, until }) => (until === null ? [] : [{ key_id: keyId, until }]));
}
