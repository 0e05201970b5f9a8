import { createHash } from "node:crypto";
import { AppError } from "./error.ts";
import { letGo } from "./let-go.ts";

/** 64 lower-case hex digits: the name of a blob. */
export type Sha256 = string & { readonly __brand: "Sha256" };

const SHA256 = /^[0-9a-f]{64}$/;

export function isSha256(text: string): text is Sha256 {
  return SHA256.test(text);
}

/** The hash in its one spelling; upper-case hex is taken too. */
export function parseSha256(text: string): Sha256 {
  const lower = text.toLowerCase();
  if (!isSha256(lower))
    throw new AppError("invalid", `${JSON.stringify(text.slice(0, 80))} is no SHA-256: expected 64 hex digits`);
  return lower;
}

export function sha256Of(bytes: Uint8Array | string): Sha256 {
  return createHash("sha256").update(bytes).digest("hex") as Sha256;
}

const utf8 = new TextDecoder();

/** The JSON in bytes that are the caller's own: their memory is given back. */
export function jsonIn(bytes: Uint8Array): unknown {
  const text = utf8.decode(bytes);
  letGo(bytes);
  return JSON.parse(text);
}

/** As S3 writes it in `x-amz-checksum-sha256`. */
export function base64Of(hash: Sha256): string {
  return Buffer.from(hash, "hex").toString("base64");
}

export function sha256FromBase64(text: string): Sha256 {
  return parseSha256(Buffer.from(text, "base64").toString("hex"));
}

/** Random access to a file's bytes, wherever they lie. `read` returns fewer bytes than asked only at the end. */
export type RangeSource = {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
};

export function rangesOf(bytes: Uint8Array): RangeSource {
  return {
    sizeBytes: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
