import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
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

const stored = async (Key: string) => {
  const got = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
  return { ...got, bytes: Buffer.from((await got.Body?.transformToByteArray()) ?? []) };
};
const absent = async (Key: string) => (await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key })))).status === 404;
const crc = (bytes: Uint8Array) => Buffer.from(crc32(bytes).toString(16).padStart(8, "0"), "hex").toString("base64");

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

describe("bodies", () => {
  const at = (Key: string, headers: Record<string, string> = {}) => ({ path: `/${Bucket}/${Key}`, headers });

  test("no length is MissingContentLength", async () => {
    const answer = await send(endpoint, at("no-length", { "transfer-encoding": "chunked" }), "bytes");
    expect([answer.code, answer.status]).toEqual(["MissingContentLength", 411]);
  });

  test("more than 5 GB is EntityTooLarge before a byte of it comes", async () => {
    const signed = await sign(
      endpoint,
      at("huge", { "content-length": String(5 * 1_024 ** 3 + 1), expect: "100-continue" }),
    );
    const sent = open(endpoint, signed);
    const answer = answerTo(sent);
    sent.flushHeaders();
    const { code, status } = await answer;
    expect([code, status]).toEqual(["EntityTooLarge", 400]);
    sent.destroy();
  });

  test("Expect: 100-continue is answered", async () => {
    const sent = open(
      endpoint,
      await sign(endpoint, at("expected", { "content-length": "5", expect: "100-continue" })),
    );
    const answer = answerTo(sent);
    sent.flushHeaders();
    await once(sent, "continue");
    sent.end("hello");
    expect((await answer).status).toBe(200);
  });

  test("a client that hangs up leaves nothing", async () => {
    const sent = open(endpoint, await sign(endpoint, at("hang-up", { "content-length": "1000000" })));
    sent.on("error", () => undefined);
    sent.write(randomBytes(300_000));
    await sleep(100);
    sent.destroy();
    await sleep(100);
    expect(await absent("hang-up")).toBe(true);
  });

  test.each([
    [
      "two checksums",
      { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" },
      "InvalidRequest",
    ],
    ["an algorithm without its checksum", { "x-amz-sdk-checksum-algorithm": "SHA256" }, "InvalidRequest"],
    [
      "an algorithm of another checksum",
      { "x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-crc32": "AAAAAA==" },
      "InvalidRequest",
    ],
    ["an unknown checksum", { "x-amz-checksum-adler32": "AAAAAA==" }, "InvalidRequest"],
    ["an unknown payload mode", { "x-amz-content-sha256": "STREAMING-OF-SOME-OTHER-KIND" }, "InvalidArgument"],
  ])("%s is refused", async (_, headers, code) => {
    expect((await send(endpoint, at("odd", { ...headers } as Record<string, string>))).code).toBe(code);
    expect(await absent("odd")).toBe(true);
  });

  test("an error before the body was read arrives, and the connection goes on", async () => {
    const body = randomBytes(4_000_000);
    const answer = await send(endpoint, { path: "/no-such-bucket-here/x" }, body);
    expect([answer.code, answer.status]).toEqual(["NoSuchBucket", 404]);
    const refused = s3.send(new PutObjectCommand({ Bucket: "no-such-bucket-here", Key: "x", Body: body }));
    expect(await errorOf(refused)).toEqual({ code: "NoSuchBucket", status: 404 });
  });
});

describe("what else a client may ask", () => {
  const ask = async (
    method: string,
    path: string,
    query: Record<string, string> = {},
    body = "",
    headers: Record<string, string> = {},
  ) => {
    const { code, status } = await send(endpoint, { method, path, query, headers }, body);
    return `${status} ${code}`;
  };

  test("subresources that are not there are NotImplemented", async () => {
    for (const name of ["acl", "tagging", "policy", "lifecycle", "versions", "cors", "retention", "torrent"]) {
      expect(await ask("GET", `/${Bucket}`, { [name]: "" })).toBe("501 NotImplemented");
      expect(await ask("PUT", `/${Bucket}/x`, { [name]: "" }, "<x/>")).toBe("501 NotImplemented");
    }
    expect(await ask("POST", `/${Bucket}`)).toBe("501 NotImplemented");
    expect(await ask("PUT", `/${Bucket}/x`, {}, "x", { "x-amz-server-side-encryption": "aws:kms" })).toBe(
      "501 NotImplemented",
    );
  });

  test("methods that a resource has not are MethodNotAllowed", async () => {
    expect(await ask("PATCH", `/${Bucket}/x`)).toBe("405 MethodNotAllowed");
    expect(await ask("POST", `/${Bucket}/x`)).toBe("405 MethodNotAllowed");
    expect(await ask("PUT", "")).toBe("405 MethodNotAllowed");
  });

  test("XML that is none, is too long or brings its own entities is refused", async () => {
    const md5 = (text: string) => ({ "content-md5": createHash("md5").update(text).digest("base64") });
    const post = (text: string) => ask("POST", `/${Bucket}`, { delete: "" }, text, md5(text));
    expect(await post("<Delete>")).toBe("400 MalformedXML");
    expect(await post("<Other/>")).toBe("400 MalformedXML");
    const entities = '<!DOCTYPE d [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>';
    expect(await post(entities)).toBe("400 MalformedXML");
    expect(await post(`<Delete>${" ".repeat(2_200_000)}</Delete>`)).toBe("400 EntityTooLarge");
    expect(await post("<Delete><Object><Key>a&constructor;b</Key></Object></Delete>")).toBe("400 MalformedXML");
    const unchecked = "<Delete><Object><Key>x</Key></Object></Delete>";
    expect(await ask("POST", `/${Bucket}`, { delete: "" }, unchecked)).toBe("400 InvalidRequest");
    const { UploadId = "" } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "xml" }));
    expect(await ask("POST", `/${Bucket}/xml`, { uploadId: UploadId }, "<nonsense")).toBe("400 MalformedXML");
  });

  test("a control character in XML is part of the key, and not passed over", async () => {
    for (const Key of ["ab", "a\u0001b"]) await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    const text = "<Delete><Object><Key>a&#1;b</Key></Object></Delete>";
    const md5 = createHash("md5").update(text).digest("base64");
    expect(await ask("POST", `/${Bucket}`, { delete: "" }, text, { "content-md5": md5 })).toBe("200 undefined");
    expect(await absent("a\u0001b")).toBe(true);
    expect((await stored("ab")).bytes.toString()).toBe("x");
  });

  test("a path that is no UTF-8 is InvalidURI", async () => {
    expect(await ask("GET", `/${Bucket}/%ff%fe`)).toBe("400 InvalidURI");
    expect(await ask("GET", `/${Bucket}/%zz`)).toBe("400 InvalidURI");
  });

  test("a range that lies behind the end tells the size", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "ten", Body: "0123456789" }));
    const answer = await send(endpoint, { method: "GET", path: `/${Bucket}/ten`, headers: { range: "bytes=10-" } });
    expect([answer.status, answer.headers["content-range"]]).toEqual([416, "bytes */10"]);
    expect(answer.text).toContain("<ActualObjectSize>10</ActualObjectSize>");
  });
});
