const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What decides how an upload comes in. Tests have smaller ones. */
export type UploadTerms = {
  /** What is announced as larger comes in parts. */
  readonly onePutBytes: number;
  readonly mostBytes: number;
  /** Small ones lose little to a line that breaks; the store takes none under 5 MiB but the last. */
  readonly partBytes: number;
  readonly mostParts: number;
  /** Addresses in one answer. */
  readonly pageParts: number;
  /** From the first request to the last part. Less than the bucket's own rule for what nobody finished. */
  readonly partsSeconds: number;
  /** A store copies this within the time of the function that is told of uploads; what is larger is the worker's. */
  readonly quickBytes: number;
  /** The most a store copies at once, and so the most whose SHA-256 it tells. */
  readonly mostCopyBytes: number;
  /** Of a larger copy: 1,000 make more than `mostBytes`. */
  readonly copyPartBytes: number;
  /** After so long the worker hands an upload on to itself. */
  readonly workSeconds: number;
  /** So long a .dsc, a .changes or what goes in with one waits for the others. */
  readonly partsWaitSeconds: number;
};

export const UPLOAD_TERMS: UploadTerms = {
  onePutBytes: 100 * MIB,
  mostBytes: 50 * GIB,
  partBytes: 16 * MIB,
  mostParts: 1000,
  pageParts: 100,
  partsSeconds: 24 * 3600,
  quickBytes: GIB,
  mostCopyBytes: 5 * GIB,
  copyPartBytes: 512 * MIB,
  workSeconds: 600,
  // An upload in parts has as long.
  partsWaitSeconds: 24 * 3600,
};

/** Whole MiB, so that clients may cut with `dd`. */
export function partBytesFor(sizeBytes: number, { partBytes, mostParts }: UploadTerms): number {
  return Math.max(partBytes, Math.ceil(sizeBytes / mostParts / MIB) * MIB);
}
