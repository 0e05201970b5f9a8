import { crc32 } from "node:zlib";
import {
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  type HeadObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { errorOf } from "./objects-endpoint.ts";

export async function textAt(s3: S3Client, at: GetObjectCommandInput): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand(at));
  return (await Body?.transformToString()) ?? "";
}

export async function absentAt(s3: S3Client, at: HeadObjectCommandInput): Promise<boolean> {
  return (await errorOf(s3.send(new HeadObjectCommand(at)))).status === 404;
}

/** What was stored, with its checksum and its bytes. */
export async function storedAt(s3: S3Client, at: GetObjectCommandInput) {
  const got = await s3.send(new GetObjectCommand({ ...at, ChecksumMode: "ENABLED" }));
  return { ...got, bytes: Buffer.from((await got.Body?.transformToByteArray()) ?? []) };
}

/** Status and code of an answer that no client has read. */
export async function codeOf(response: Response): Promise<string> {
  return `${response.status} ${/<Code>(.*?)<\/Code>/.exec(await response.text())?.[1]}`;
}

/** CRC32 as S3 writes it. */
export function crc(bytes: Uint8Array): string {
  return Buffer.from(crc32(bytes).toString(16).padStart(8, "0"), "hex").toString("base64");
}
