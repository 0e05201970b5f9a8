import { createHash } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { absentAt, codeOf } from "../support/objects-answers.ts";
import { bucketName, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "a+b c", Body: "hello" }));
});
afterAll(() => endpoint.close());
const changed = (url: string, change: (url: URL) => void) => {
  const copy = new URL(url);
  change(copy);
  return copy.href;
};

describe("a presigned GET", () => {
  const presign = (expiresIn = 60) => getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a+b c" }), { expiresIn });

  test("gives the bytes to anyone who has the URL", async () => {
    const response = await fetch(await presign());
    expect([response.status, await response.text()]).toEqual([200, "hello"]);
    expect(response.headers.get("x-amz-request-id")).toBeTruthy();
  });

  test("is for GET alone", async () => {
    const url = await presign();
    expect((await fetch(url, { method: "HEAD" })).status).toBe(403);
    expect(await codeOf(await fetch(url, { method: "DELETE" }))).toBe("403 SignatureDoesNotMatch");
  });

  test.each([
    [
      "the path",
      (url: URL) => {
        url.pathname += "x";
      },
    ],
    [
      "the bucket",
      (url: URL) => {
        url.pathname = url.pathname.replace(Bucket, `${Bucket}x`);
      },
    ],
    ["a further parameter", (url: URL) => url.searchParams.set("response-content-type", "text/html")],
    ["a parameter less", (url: URL) => url.searchParams.delete("x-id")],
    ["its time", (url: URL) => url.searchParams.set("X-Amz-Expires", "61")],
    ["its signature", (url: URL) => url.searchParams.set("X-Amz-Signature", "0".repeat(64))],
    [
      "its signature, cut short",
      (url: URL) =>
        url.searchParams.set("X-Amz-Signature", (url.searchParams.get("X-Amz-Signature") ?? "").slice(0, 63)),
    ],
    [
      "its signature in upper case",
      (url: URL) =>
        url.searchParams.set(
          "X-Amz-Signature",
          (url.searchParams.get("X-Amz-Signature") ?? "").toUpperCase().replace(/^.?/, "A"),
        ),
    ],
  ])("is refused when %s is changed", async (_, change) => {
    const response = await fetch(changed(await presign(), (url) => void change(url)));
    expect(await codeOf(response)).toBe("403 SignatureDoesNotMatch");
  });

  test("is refused for another host", async () => {
    const url = new URL(await presign());
    if (url.hostname !== "127.0.0.1") return;
    url.hostname = "localhost";
    expect(await codeOf(await fetch(url))).toBe("403 SignatureDoesNotMatch");
  });

  test.each([
    ["X-Amz-Expires", "604801", "400 AuthorizationQueryParametersError"],
    ["X-Amz-Expires", "-1", "400 AuthorizationQueryParametersError"],
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA512", "400 AuthorizationQueryParametersError"],
    ["X-Amz-Credential", "nonsense", "400 AuthorizationQueryParametersError"],
    ["X-Amz-Date", "yesterday", "400 AuthorizationQueryParametersError"],
    ["X-Amz-SignedHeaders", "x-other", "403 AccessDenied"],
  ])("with %s=%s is %s", async (name, value, code) => {
    expect(await codeOf(await fetch(changed(await presign(), (url) => url.searchParams.set(name, value))))).toBe(code);
  });

  test("is refused when its time is over, or has not come", async () => {
    const at = (minutes: number, expiresIn: number) =>
      getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a+b c" }), {
        expiresIn,
        signingDate: new Date(Date.now() + minutes * 60_000),
      });
    expect(await codeOf(await fetch(await at(-2, 60)))).toBe("403 AccessDenied");
    expect((await fetch(await at(-2, 180))).status).toBe(200);
    expect(await codeOf(await fetch(await at(30, 3_600)))).toBe("403 AccessDenied");
  });

  test("of another's key is refused", async () => {
    const { accessKeyId, secretAccessKey } = endpoint.credentials;
    const other = endpoint.client({ credentials: { accessKeyId: "AKIAOTHER", secretAccessKey } });
    const wrong = endpoint.client({ credentials: { accessKeyId, secretAccessKey: `${secretAccessKey}x` } });
    const command = new GetObjectCommand({ Bucket, Key: "a+b c" });
    expect(await codeOf(await fetch(await getSignedUrl(other, command)))).toBe("403 InvalidAccessKeyId");
    expect(await codeOf(await fetch(await getSignedUrl(wrong, command)))).toBe("403 SignatureDoesNotMatch");
  });

  test("sets the headers of its answer", async () => {
    const command = new GetObjectCommand({
      Bucket,
      Key: "a+b c",
      ResponseContentType: "text/plain",
      ResponseContentDisposition: 'attachment; filename="x y"',
      ResponseCacheControl: "no-store",
    });
    const { headers } = await fetch(await getSignedUrl(s3, command));
    expect(headers.get("content-type")).toBe("text/plain");
    expect(headers.get("content-disposition")).toBe('attachment; filename="x y"');
    expect(headers.get("cache-control")).toBe("no-store");
  });
});

describe("a presigned PUT", () => {
  const right = "right bytes";
  const sha256 = createHash("sha256").update(right).digest("base64");
  const headers = { "x-amz-checksum-sha256": sha256, "content-type": "application/x-deb" };
  const signed = new Set(["host", "content-length", "content-type", "x-amz-checksum-sha256"]);
  const presign = (Key: string) =>
    getSignedUrl(
      s3,
      new PutObjectCommand({
        Bucket,
        Key,
        ChecksumSHA256: sha256,
        ContentLength: right.length,
        ContentType: headers["content-type"],
      }),
      {
        unhoistableHeaders: new Set(["x-amz-checksum-sha256"]),
        signableHeaders: signed,
      },
    );
  const put = async (url: string, body: string, more: Record<string, string> = headers) =>
    await fetch(url, { method: "PUT", body, headers: more });
  const absent = (Key: string) => absentAt(s3, { Bucket, Key });

  test("takes the bytes it was signed for, as often as they come", async () => {
    const url = await presign("deb");
    for (let i = 0; i < 2; i++) expect((await put(url, right)).status).toBe(200);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "deb", ChecksumMode: "ENABLED" }));
    expect(head).toMatchObject({
      ChecksumSHA256: sha256,
      ContentType: "application/x-deb",
      ContentLength: right.length,
    });
  });

  test("refuses other bytes, another length, another type and another hash, and stores nothing", async () => {
    const url = await presign("other");
    expect(await codeOf(await put(url, "wrong bytes"))).toBe("400 BadDigest");
    expect(await codeOf(await put(url, `${right}!`))).toBe("403 SignatureDoesNotMatch");
    expect(await codeOf(await put(url, right, { ...headers, "content-type": "text/html" }))).toBe(
      "403 SignatureDoesNotMatch",
    );
    const other = createHash("sha256").update("wrong bytes").digest("base64");
    expect(await codeOf(await put(url, "wrong bytes", { ...headers, "x-amz-checksum-sha256": other }))).toBe(
      "403 SignatureDoesNotMatch",
    );
    expect(await codeOf(await put(url, right, { "content-type": headers["content-type"] }))).toBe(
      "403 SignatureDoesNotMatch",
    );
    expect(await absent("other")).toBe(true);
  });

  test("takes no x-amz- header that it was not signed with", async () => {
    const url = await presign("meta");
    const response = await put(url, right, { ...headers, "x-amz-meta-evil": "1" });
    const text = await response.text();
    expect(response.status).toBe(403);
    expect(text).toContain("<Code>AccessDenied</Code>");
    expect(text).toContain("<HeadersNotSigned>x-amz-meta-evil</HeadersNotSigned>");
    expect(await absent("meta")).toBe(true);
  });

  test("carries metadata in its query", async () => {
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "hoisted", Metadata: { who: "me" } }));
    expect((await put(url, "x", {})).status).toBe(200);
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "hoisted" }))).Metadata).toEqual({ who: "me" });
  });

  test("carries no metadata in its query that no header could", async () => {
    const sign = (Metadata: Record<string, string>) =>
      getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "odd", Metadata }));
    expect((await put(await sign({ who: "a\r\nx: y \u{1f600}\u007f" }), "x", {})).status).toBe(200);
    const { Metadata } = await s3.send(new HeadObjectCommand({ Bucket, Key: "odd" }));
    expect(Metadata?.who).toMatch(/^=\?UTF-8\?B\?/);
    expect(await codeOf(await put(await sign({ "a b\n": "x" }), "x", {}))).toBe("400 InvalidArgument");
  });

  test("ignores a checksum in its query, as S3 does", async () => {
    const url = await getSignedUrl(endpoint.client(), new PutObjectCommand({ Bucket, Key: "query-crc" }));
    expect(url).toContain("x-amz-checksum-crc32=AAAAAA%3D%3D");
    expect((await put(url, "not empty", {})).status).toBe(200);
  });
});
