import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { CreateBucketCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { absentAt, crc, storedAt } from "../support/objects-answers.ts";
import { bucketName, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
import { answerTo, frame, frameSigned, open, send, sign } from "../support/objects-raw.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const stored = (Key: string) => storedAt(s3, { Bucket, Key });
const absent = (Key: string) => absentAt(s3, { Bucket, Key });

describe("aws-chunked bodies", () => {
  const bytes = randomBytes(200_000);
  const chunks = [bytes.subarray(0, 65_536), bytes.subarray(65_536, 131_072), bytes.subarray(131_072)];
  const trailer = `x-amz-checksum-crc32:${crc(bytes)}`;
  const unsigned = (Key: string, headers: Record<string, string> = {}) => ({
    path: `/${Bucket}/${Key}`,
    payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    headers: {
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": String(bytes.length),
      "x-amz-trailer": "x-amz-checksum-crc32",
      ...headers,
    },
  });

  test("a stream that the SDK sends with a trailer is stored without its framing", async () => {
    const put = await s3.send(
      new PutObjectCommand({
        Bucket,
        Key: "sdk-stream",
        Body: Readable.from(chunks),
        ContentLength: bytes.length,
        ContentEncoding: "gzip",
      }),
    );
    expect(put.ChecksumCRC32).toBe(crc(bytes));
    const got = await stored("sdk-stream");
    expect(got.bytes.equals(bytes)).toBe(true);
    expect(got).toMatchObject({ ContentEncoding: "gzip", ContentLength: bytes.length, ChecksumCRC32: crc(bytes) });
  });

  test("unsigned with a trailer", async () => {
    expect((await send(endpoint, unsigned("trailer"), frame(chunks, trailer))).status).toBe(200);
    const got = await stored("trailer");
    expect(got.bytes.equals(bytes)).toBe(true);
    expect(got.ContentEncoding).toBeUndefined();
    expect(got.ChecksumCRC32).toBe(crc(bytes));
  });

  test("unsigned with a trailer over transfer-encoding chunked", async () => {
    const answer = await send(endpoint, unsigned("te", { "transfer-encoding": "chunked" }), frame(chunks, trailer));
    expect(answer.status).toBe(200);
    expect((await stored("te")).bytes.equals(bytes)).toBe(true);
  });

  test.each([
    ["a wrong checksum in the trailer", frame(chunks, "x-amz-checksum-crc32:AAAAAA=="), "BadDigest"],
    ["another checksum in the trailer", frame(chunks, "x-amz-checksum-crc32c:AAAAAA=="), "MalformedTrailerError"],
    ["no trailer", frame(chunks), "MalformedTrailerError"],
    ["a chunk too few", frame(chunks.slice(1), trailer), "IncompleteBody"],
    ["a chunk too many", frame([...chunks, bytes.subarray(0, 10)], trailer), "IncompleteBody"],
    ["no framing", bytes, "IncompleteBody"],
    ["no end", frame(chunks, trailer).subarray(0, -2), "IncompleteBody"],
    ["bytes behind the end", Buffer.concat([frame(chunks, trailer), Buffer.from("x")]), "IncompleteBody"],
  ])("%s is refused", async (name, body, code) => {
    const Key = `bad-${name.replaceAll(" ", "-")}`;
    const answer = await send(endpoint, unsigned(Key), body);
    expect([answer.code, answer.status]).toEqual([code, 400]);
    expect(await absent(Key)).toBe(true);
  });

  const signedRequest = (Key: string, mode: string, headers: Record<string, string> = {}) => ({
    path: `/${Bucket}/${Key}`,
    payloadHash: mode,
    headers: {
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": String(bytes.length),
      "transfer-encoding": "chunked",
      ...headers,
    },
  });
  const sendSigned = async (Key: string, change: (body: Buffer) => Buffer, withTrailer: boolean) => {
    const mode = withTrailer ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" : "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    const signed = await sign(
      endpoint,
      signedRequest(Key, mode, withTrailer ? { "x-amz-trailer": "x-amz-checksum-crc32" } : {}),
    );
    const sent = open(endpoint, signed);
    const answer = answerTo(sent);
    sent.end(change(frameSigned(endpoint, signed, chunks, withTrailer ? trailer : undefined)));
    return await answer;
  };

  test.each([false, true])("every chunk signed (trailer: %s)", async (withTrailer) => {
    const Key = `signed-${withTrailer}`;
    expect((await sendSigned(Key, (body) => body, withTrailer)).status).toBe(200);
    const got = await stored(Key);
    expect(got.bytes.equals(bytes)).toBe(true);
    if (withTrailer) expect(got.ChecksumCRC32).toBe(crc(bytes));
  });

  test.each([
    [
      "a byte",
      (body: Buffer) => {
        body[70_000] = (body[70_000] ?? 0) ^ 1;
        return body;
      },
    ],
    [
      "a chunk's signature",
      (body: Buffer) => {
        body[30] = body[30] === 48 ? 49 : 48;
        return body;
      },
    ],
    [
      "the trailer's signature",
      (body: Buffer) => {
        const at = body.length - 10;
        body[at] = body[at] === 48 ? 49 : 48;
        return body;
      },
    ],
  ])("%s changed in a signed body is SignatureDoesNotMatch", async (name, change) => {
    const Key = `tampered-${name.replaceAll(" ", "-")}`;
    const answer = await sendSigned(Key, change, true);
    expect([answer.code, answer.status]).toEqual(["SignatureDoesNotMatch", 403]);
    expect(await absent(Key)).toBe(true);
  });

  test("a signed body without its trailer's signature is refused", async () => {
    const cut = (body: Buffer) =>
      Buffer.concat([body.subarray(0, body.lastIndexOf("x-amz-trailer-signature")), Buffer.from("\r\n")]);
    expect((await sendSigned("cut", cut, true)).code).toBe("MalformedTrailerError");
    expect(await absent("cut")).toBe(true);
  });

  test("framing that is not declared is refused, not stored", async () => {
    const answer = await send(
      endpoint,
      { path: `/${Bucket}/framed`, headers: { "content-encoding": "aws-chunked" } },
      frame(chunks, trailer),
    );
    expect(answer.code).toBe("InvalidArgument");
    expect(await absent("framed")).toBe(true);
  });

  test("no decoded length is MissingContentLength", async () => {
    const { "x-amz-decoded-content-length": _, ...headers } = unsigned("x").headers;
    const answer = await send(endpoint, { ...unsigned("x"), headers }, frame(chunks, trailer));
    expect([answer.code, answer.status]).toEqual(["MissingContentLength", 411]);
  });
});
