import type { Fetched, Fetcher, Want } from "./fetch.ts";
import type { Validators } from "./fetch-headers.ts";

export type FetchedBytes = Pick<Fetched, "finalUrl" | "headers" | "etag" | "lastModified"> & {
  readonly bytes: Uint8Array;
};

export type WantBytes = Omit<Want, keyof Validators | "range" | "ifRange">;

/** The whole of what is small enough for memory. Throws as `get` does. */
export async function fetchBytes(fetcher: Fetcher, url: string, want: WantBytes): Promise<FetchedBytes> {
  const fetched = await fetchIfChanged(fetcher, url, want);
  if (!fetched) throw new Error("not modified, though nobody asked");
  return fetched;
}

/** The same; undefined when what the validators stand for has not changed. */
export async function fetchIfChanged(
  fetcher: Fetcher,
  url: string,
  want: WantBytes & Validators,
): Promise<FetchedBytes | undefined> {
  const fetched = await fetcher.get(url, want);
  if (fetched.status === 304) return undefined;
  const { finalUrl, headers, etag, lastModified } = fetched;
  const chunks: Uint8Array[] = [];
  for await (const chunk of fetched.body) chunks.push(chunk);
  return { finalUrl, headers, etag, lastModified, bytes: Buffer.concat(chunks) };
}
