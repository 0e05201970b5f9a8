import { S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { S3_DEFAULTS } from "../../functions/context.ts";
import { objectsOf } from "../../shared/objects/s3.ts";
import { spansOf } from "../../shared/objects/spans.ts";

const ID = "0123456789abcdef0123456789abcdef";

/** The store as one signs for it whose own credentials end after so many seconds. */
function signedBy(secondsLeft: number | undefined) {
  const expiration = secondsLeft === undefined ? {} : { expiration: new Date(Date.now() + secondsLeft * 1000) };
  const credentials = { accessKeyId: "A", secretAccessKey: "S", sessionToken: "T", ...expiration };
  const client = new S3Client({ ...S3_DEFAULTS, region: "eu-central-1", credentials });
  return objectsOf(client, client, "packhouse");
}

/** When the store stops to take it, by what the address itself says. */
function endOf(url: string): number {
  const query = new URL(url).searchParams;
  const [, date = ""] = /^(\d{8}T\d{6})Z$/.exec(query.get("X-Amz-Date") ?? "") ?? [];
  const iso = date.replace(/^(....)(..)(..T..)(..)(..)$/, "$1-$2-$3:$4:$5Z");
  return Date.parse(iso) + Number(query.get("X-Amz-Expires")) * 1000;
}

test.each([
  ["a user's key", undefined, 3600],
  ["a role's session that lives long", 40_000, 3600],
  ["a role's session about to end", 95, 95],
])("the address of a PUT, and of each part, ends when it says, signed with %s", async (_, left, seconds) => {
  const objects = signedBy(left);
  const put = await objects.presignUpload({ uploadId: ID, binary: "a/b/c/d/e", ttlSeconds: 3600 });
  const at = { uploadId: ID, multipartId: "m" };
  const { parts, expiresAt } = await objects.presignParts(at, spansOf(23, 10), 3600);
  for (const [url, told] of [
    [put.url, put.expires_at] as const,
    ...parts.map(({ url }) => [url, expiresAt] as const),
  ]) {
    expect(Math.abs(endOf(url) - Date.parse(told))).toBeLessThanOrEqual(1000);
    expect(Math.abs(Date.parse(told) - Date.now() - seconds * 1000)).toBeLessThan(5000);
  }
});

test("each part has its own address, number and length, and carries no checksum of nothing", async () => {
  const { parts } = await signedBy(undefined).presignParts({ uploadId: ID, multipartId: "m+/=" }, spansOf(23, 10), 60);
  expect(parts.map(({ url, ...span }) => ({ ...span, url: new URL(url).searchParams.get("partNumber") }))).toEqual([
    { number: 1, offset: 0, sizeBytes: 10, headers: { "content-length": "10" }, url: "1" },
    { number: 2, offset: 10, sizeBytes: 10, headers: { "content-length": "10" }, url: "2" },
    { number: 3, offset: 20, sizeBytes: 3, headers: { "content-length": "3" }, url: "3" },
  ]);
  for (const { url } of parts) {
    const query = new URL(url).searchParams;
    expect(query.get("uploadId")).toBe("m+/=");
    expect(query.get("X-Amz-SignedHeaders")).toBe("content-length;host");
    expect([...query.keys()].filter((name) => /checksum/i.test(name))).toEqual([]);
  }
});
