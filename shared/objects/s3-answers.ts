import { Readable } from "node:stream";
import { S3ServiceException } from "@aws-sdk/client-s3";
import { type Sha256, sha256FromBase64 } from "../blob.ts";

export function fullObject(checksum: string | undefined, type: string | undefined): Sha256 | undefined {
  return checksum === undefined || type === "COMPOSITE" ? undefined : sha256FromBase64(checksum);
}

export async function absentIf404<T>(call: () => Promise<T>): Promise<T | undefined> {
  return unlessStatus(404, call);
}

/** Undefined when a condition on the object did not hold; S3 says 409 while another conditional write is under way. */
export async function unless412<T>(call: () => Promise<T>): Promise<T | undefined> {
  return unlessStatus(412, call);
}

async function unlessStatus<T>(status: number, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === status) return undefined;
    throw error;
  }
}

/** Sends a stream; where its source fails, the request is given up at once and the source's own error is thrown. */
export async function withSource<T>(
  source: AsyncIterable<Uint8Array>,
  send: (body: Readable, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const body = Readable.from(source);
  const givenUp = new AbortController();
  let failure: unknown;
  body.once("error", (error) => {
    failure = error;
    givenUp.abort();
  });
  try {
    return await send(body, givenUp.signal);
  } catch (error) {
    throw failure ?? error;
  } finally {
    body.destroy();
  }
}
