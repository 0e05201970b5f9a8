import { ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { useContext } from "../../functions/context.ts";
import type { Context } from "../../shared/context.ts";
import { UPLOAD_TERMS, type UploadTerms } from "../../shared/upload-terms.ts";
import type { TestPackhouse } from "./packhouse.ts";

const MIB = 1024 ** 2;

/** Every limit is a few parts away. The store takes no parts under 5 MiB but the last. */
export const SMALL_TERMS: UploadTerms = {
  ...UPLOAD_TERMS,
  onePutBytes: 5 * MIB,
  partBytes: 5 * MIB,
  copyPartBytes: 5 * MIB,
  pageParts: 3,
};

/** Has the functions of a running Packhouse work in another context from now on. */
export function changeContext(packhouse: TestPackhouse, change: Partial<Context>): Context {
  const ctx = { ...packhouse.context, ...change };
  useContext(ctx);
  return ctx;
}

export type PartAnswer = {
  number: number;
  offset: number;
  size: number;
  url?: string;
  headers?: Record<string, string>;
  etag?: string;
};
export type PartsAnswer = {
  parts: PartAnswer[];
  parts_total: number;
  parts_received: number;
  bytes_received: number;
  part_size: number;
  next: string | null;
  url: string;
  complete: string;
  abort: string;
  expires_at: string;
  ends_at: string;
};

/** The parts of all pages. */
export async function allParts(packhouse: TestPackhouse, upload: PartsAnswer): Promise<PartAnswer[]> {
  const parts = [...upload.parts];
  for (let next = upload.next; next !== null; ) {
    const { body } = await packhouse.call("GET", next);
    parts.push(...body.parts);
    next = body.next;
  }
  return parts;
}

/** Sends one part as it was answered; tells the etag that the store gave it. */
export async function putPart({ url, offset, size }: PartAnswer, bytes: Uint8Array): Promise<string> {
  const body = Buffer.from(bytes.subarray(offset, offset + size));
  const answer = await fetch(url ?? "", { method: "PUT", body });
  if (answer.status !== 200) throw new Error(`PUT of a part: ${answer.status} ${await answer.text()}`);
  return answer.headers.get("etag") ?? "";
}

export async function putParts(packhouse: TestPackhouse, upload: PartsAnswer, bytes: Uint8Array): Promise<void> {
  for (const part of await allParts(packhouse, upload)) if (part.url) await putPart(part, bytes);
}

/** The keys of the uploads in parts that are under way in the store. */
export async function underWay({ url, folder }: TestPackhouse): Promise<string[]> {
  const { region, ...credentials } = folder.aws;
  const s3 = new S3Client({ region, credentials, endpoint: `${url}/_s3`, forcePathStyle: true });
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket: "packhouse" }));
  return (Uploads ?? []).map(({ Key }) => Key ?? "");
}
