import { z } from "zod";
import { parseSha256, type Sha256 } from "../blob.ts";
import { AppError } from "../error.ts";
import { membersOf } from "../json-members.ts";
import type { WantedPackage } from "./wanted.ts";

export const PlaceField = z.union([z.object({ suite: z.string(), component: z.string() }), z.string().max(1024)]);

/** What a caller may say of one package: anything that GET gives may be given back. */
export const WantedEntry = z.looseObject({
  name: z.string().optional(),
  filename: z.string().max(255).optional(),
  shasum: z.string().optional(),
  version: z.string().optional(),
  places: z.array(PlaceField).max(100).optional(),
});
export const WantedMap = z.record(z.string(), WantedEntry);

/** @throws AppError `invalid` for a key that is no hash, `unprocessable` for an entry that says another */
export function wantedOf(map: z.infer<typeof WantedMap>): WantedPackage[] {
  return Object.entries(map).map(([key, entry]) => wantedEntry(key, entry));
}

function wantedEntry(key: string, { name, filename, shasum, version, places }: z.infer<typeof WantedEntry>) {
  const sha256 = parseSha256(key);
  if (shasum !== undefined && (parseShasum(shasum) ?? sha256) !== sha256) {
    throw new AppError(
      "unprocessable",
      `${sha256} contradicts itself: shasum is ${JSON.stringify(shasum.slice(0, 70))}`,
    );
  }
  return { sha256, name, filename, version, places };
}

/** The document's own example has "..." there. */
function parseShasum(text: string): Sha256 | undefined {
  return text === "..." ? undefined : parseSha256(text);
}

/** Of a map that is a blob. */
export const MOST_MAP_BYTES = 256 * 1024 * 1024;
const MOST_MAPPED = 250_000;
const MOST_ENTRY_BYTES = 256 * 1024;

/**
 * Reads a map that is too large for a request, entry by entry; the last of two with one hash counts, as in any JSON.
 * @throws AppError `unprocessable` where it is no such map, or beyond its bounds
 */
export async function readWantedMap(bytes: AsyncIterable<Uint8Array>): Promise<WantedPackage[]> {
  const wanted = new Map<Sha256, WantedPackage>();
  const limits = { maxBytes: MOST_MAP_BYTES, maxMemberBytes: MOST_ENTRY_BYTES };
  for await (const [key, value] of membersOf(bytes, limits)) {
    const entry = WantedEntry.safeParse(value);
    if (!entry.success) {
      const [issue] = entry.error.issues;
      const where = [key.slice(0, 70), ...(issue?.path ?? [])].join(".");
      throw new AppError("unprocessable", `the map: ${where}: ${issue?.message}`);
    }
    const one = wantedEntry(key, entry.data);
    wanted.set(one.sha256, one);
    if (wanted.size > MOST_MAPPED) throw new AppError("unprocessable", `the map has over ${MOST_MAPPED} packages`);
  }
  return [...wanted.values()];
}
