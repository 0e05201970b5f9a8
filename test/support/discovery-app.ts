import { appOf } from "../../functions/http/app.ts";
import { putToken } from "../../shared/access.ts";
import { keys } from "../../shared/store/keys.ts";
import { type MemoryContext, memoryContext } from "./memory-context.ts";
import type { Answer } from "./packhouse.ts";

const SHA = "ab".repeat(32);

/** The surfaces over a store in memory, where leaves of the tree can be laid down with any name and time. */
export type DiscoveryApp = {
  readonly ctx: MemoryContext;
  /** With a token. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** `agoSeconds` before now; `more` is of what is stored. */
  stored(path: readonly string[], agoSeconds?: number, more?: object): Promise<void>;
  awaited(path: readonly string[], more?: object): Promise<void>;
};

export async function discoveryApp(): Promise<DiscoveryApp> {
  const ctx = memoryContext();
  await putToken(ctx, "secret", "somebody");
  const app = appOf(() => ctx);
  const at = (agoSeconds: number) => new Date(ctx.clock.ms - agoSeconds * 1000).toISOString();
  const levels = async (path: readonly string[], updatedAt: string) => {
    for (let depth = 1; depth < path.length; depth += 1) {
      const key = keys.node(path.slice(0, depth));
      await ctx.table.update(
        key,
        { set: { kind: "level", updatedAt } },
        { less: { attribute: "updatedAt", than: updatedAt } },
      );
    }
  };
  return {
    ctx,
    async ask(method, path, body, headers = {}) {
      const answer = await app.request(path, {
        method,
        headers: { authorization: "Bearer secret", "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get("content-type")?.includes("json") && text !== "";
      return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
    },
    async stored(path, agoSeconds = 0, more = {}) {
      const when = at(agoSeconds);
      await levels(path, when);
      const bytes = { sha256: SHA, sizeBytes: 12 * 1024 ** 2, signed: true, format: "rpm" };
      const leaf = { ...bytes, job: "job", replace: false, settled: true, at: when, ...more };
      await ctx.table.put({ ...keys.node(path), kind: "binary", revision: 1, updatedAt: when, stored: leaf });
    },
    async awaited(path, more = {}) {
      await levels(path, at(0));
      const awaited = { id: "1".repeat(32), expiresAt: at(-3600), force: false, ...more };
      await ctx.table.put({ ...keys.node(path), kind: "binary", revision: 1, updatedAt: at(0), awaited });
    },
  };
}
