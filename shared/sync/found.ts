import type { CarriedFile } from "../tree/carried.ts";
import type { Entry } from "../tree/entry.ts";
import type { Checksum } from "../upstream/fetch-download.ts";
import type { Pointer } from "./site.ts";

/** A file as an upstream's index names it, where that tells no SHA-256. */
export type UnnamedFile = {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  readonly sizeBytes?: number | undefined;
  /** The strongest that the index has. */
  readonly checksum?: Checksum | undefined;
  /** Without a checksum: what changes with the file (a date, a length, an ETag). */
  readonly version?: string | undefined;
};

/** An entry of the upstream's tree with where each of its files lies; or a file that has to be read before there can be one. */
export type Found =
  /** `entry.files` are without `url`; `urls` has one for each of them. */
  { readonly entry: Entry; readonly urls: readonly string[] } | { readonly unknown: UnnamedFile };

/** What a reader makes of an upstream. */
export type UpstreamRead = {
  /**
   * In any order; an entry may come twice. Of one key with several bytes all are kept apart by who writes the tree.
   * Nothing but what the index was checked for is yielded; an error ends the sync.
   */
  readonly found: AsyncIterable<Found>;
  /** What is published beside the packages, in our store already. Asked for when `found` has ended. */
  readonly carried: () => Promise<readonly CarriedFile[]>;
  /** The files that name all others, as they were read. */
  readonly pointers: readonly Pick<Pointer, "state">[];
  /** Addresses that have the same, the one that was read first. */
  readonly mirrors?: readonly string[];
};
