import { AppError } from "../error.ts";
import type { Fetched, NotModified } from "../upstream/fetch.ts";
import { UpstreamError, UpstreamFault } from "../upstream/fetch-error.ts";
import { withRetries } from "../upstream/fetch-retry.ts";
import type { Site } from "./site.ts";
import { withCredentialsOf } from "./take.ts";

/** A walk is thousands of requests: a fault that passes is no reason to begin anew. */
export const TRIES = 4;

/** A file that changed so shortly ago may change again within the second that its date tells. */
const SETTLED_MS = 2_000;

/** What a server tells of a file without sending it. */
export type Head = {
  readonly sizeBytes: number | undefined;
  /** What changes with the file; undefined where nothing that is told surely does. */
  readonly version: string | undefined;
};

const UNTOLD: Head = { sizeBytes: undefined, version: undefined };

/** "absent" where there is no such file: listings name links that lead nowhere. */
export async function headOf(site: Site, url: string): Promise<Head | "absent"> {
  const { fetcher } = site.ctx;
  return withRetries(
    async () => {
      try {
        return await told(site, await fetcher.get(withCredentialsOf(site.address, url), HEAD));
      } catch (error) {
        if (!(error instanceof UpstreamError || error instanceof UpstreamFault)) throw error;
        if (error.status === 404 || error.status === 410) return "absent";
        // A server that knows GET alone.
        if (error.status === 405 || error.status === 501) return UNTOLD;
        throw error;
      }
    },
    { tries: TRIES, sleep: fetcher.sleep },
  );
}

const HEAD = { head: true, maxBytes: Number.MAX_SAFE_INTEGER } as const;

async function told({ ctx }: Site, head: Fetched | NotModified): Promise<Head> {
  if (head.status === 304) throw new Error("not modified, though nobody asked");
  // Nothing comes; but its end frees the connection for the next.
  for await (const _ of head.body);
  const { sizeBytes, etag, lastModified, headers } = head;
  if (etag === undefined && lastModified === undefined) return { sizeBytes, version: undefined };
  const answeredAt = Date.parse(headers.date ?? "");
  const now = Number.isNaN(answeredAt) ? ctx.now().getTime() : answeredAt;
  const isSettled = lastModified === undefined || Math.abs(now - Date.parse(lastModified)) > SETTLED_MS;
  return { sizeBytes, version: isSettled ? JSON.stringify([etag, lastModified, sizeBytes]) : undefined };
}

/** A worker has not much longer for a whole reading. */
const HEADS_WITHIN_MS = 8 * 60_000;

/** "late": not asked, since so many were before it that the reading would not end in time. */
export type Heads = (url: string) => Promise<Head | "absent" | "late">;

export function headsWithin(site: Site): Heads {
  const { ctx } = site;
  const until = ctx.now().getTime() + HEADS_WITHIN_MS;
  return async (url) => (ctx.now().getTime() > until ? "late" : headOf(site, url));
}

/** That the upstream has more files than can be asked for one by one, and what would do instead. */
export function tooLate({ upstream }: Site, what: string, instead: string): AppError {
  return new AppError(
    "unprocessable",
    `${upstream.path}: it has too many files to ask for the ${what} of each (${HEADS_WITHIN_MS / 60_000} minutes were not enough); ${instead}`,
    { url: upstream.path },
  );
}
