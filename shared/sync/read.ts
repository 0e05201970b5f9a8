import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import { AppError } from "../error.ts";
import type { Entry } from "../tree/entry.ts";
import { readApt } from "./read-apt.ts";
import { readYum } from "./read-yum.ts";
import type { Upstream } from "./upstream.ts";

/** All that an upstream lists now, and a blob of what its own indexes were, to ask next time whether they changed. */
export type UpstreamRead = { readonly entries: readonly Entry[]; readonly state: Sha256 };

export function readUpstream(ctx: Context, upstream: Upstream): Promise<UpstreamRead | "unchanged"> {
  if (upstream.type === "apt") return readApt(ctx, upstream);
  if (upstream.type === "yum") return readYum(ctx, upstream);
  throw new AppError("unprocessable", `upstreams of type ${upstream.type} are not synced; apt and yum are`);
}
