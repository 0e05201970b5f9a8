import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateBucketCommand, CreateMultipartUploadCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { absentAt, storedAt } from "../support/objects-answers.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";
import { answerTo, open, send, sign } from "../support/objects-raw.ts";

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
