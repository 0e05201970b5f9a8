import { createHash } from "node:crypto";
import { isCrc, type RunningCrc, startCrc } from "./crc.ts";

/** In the spelling of S3's XML and of `x-amz-checksum-algorithm`; headers have it in lower case. */
export const ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const DIGEST_BYTES: Readonly<Record<Algorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
};

export type ChecksumType = "FULL_OBJECT" | "COMPOSITE";
/** `value` is base64, with `-PARTS` behind it when it is composite. */
export type Checksum = { algorithm: Algorithm; type: ChecksumType; value: string };

export function algorithmNamed(name: string): Algorithm | undefined {
  return ALGORITHMS.find((known) => known === name.toUpperCase());
}

export function headerOf(algorithm: Algorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** The bytes of a base64 digest, or undefined when it is no digest of that algorithm. */
export function digestFromBase64(algorithm: Algorithm, text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString("base64") === text ? bytes : undefined;
}

function start(algorithm: Algorithm): RunningCrc {
  if (isCrc(algorithm)) return startCrc(algorithm);
  const hash = createHash(algorithm.toLowerCase());
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
}

/** Several digests of the same bytes, computed while these pass. */
export type Digests = ReadonlyMap<Algorithm, Buffer>;

/**
 * The ETag of bytes that were put in one piece: their MD5, or, where the client told their SHA-256, half of that. To S3's clients an ETag
 * is opaque, as it is of encrypted objects there; MD5 takes longer than to check the SHA-256 and to write.
 */
export function etagOfDigests(digests: Digests): string {
  return (digests.get("MD5") ?? digests.get("SHA256")?.subarray(0, 16))?.toString("hex") ?? "";
}

export class RunningDigests {
  readonly #running: Map<Algorithm, RunningCrc>;
  constructor(algorithms: Iterable<Algorithm>) {
    this.#running = new Map([...new Set(algorithms)].map((algorithm) => [algorithm, start(algorithm)]));
  }
  update(bytes: Uint8Array): void {
    for (const digest of this.#running.values()) digest.update(bytes);
  }
  /** Once only. */
  digests(): Digests {
    return new Map([...this.#running].map(([algorithm, digest]) => [algorithm, digest.digest()]));
  }
}
