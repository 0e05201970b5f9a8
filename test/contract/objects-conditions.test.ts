import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textAt } from "../support/objects-answers.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(() => endpoint.close());

const textOf = (Key: string) => textAt(s3, { Bucket, Key });

describe("conditions", () => {
  const put = (Key: string, Body: string, options: { IfMatch?: string; IfNoneMatch?: string } = {}) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body, ...options }));

  test("If-None-Match: * creates once", async () => {
    await put("once", "1", { IfNoneMatch: "*" });
    expect(await errorOf(put("once", "2", { IfNoneMatch: "*" }))).toEqual({ code: "PreconditionFailed", status: 412 });
    expect(await textOf("once")).toBe("1");
    expect(await errorOf(put("once", "2", { IfNoneMatch: '"abc"' }))).toMatchObject({ code: "NotImplemented" });
  });

  test("If-Match replaces only what the client has seen", async () => {
    expect(await errorOf(put("cas", "0", { IfMatch: '"abc"' }))).toEqual({ code: "NoSuchKey", status: 404 });
    const { ETag = "" } = await put("cas", "1");
    const { ETag: second = "" } = await put("cas", "2", { IfMatch: ETag });
    expect(await errorOf(put("cas", "3", { IfMatch: ETag }))).toEqual({ code: "PreconditionFailed", status: 412 });
    await put("cas", "4", { IfMatch: second.replaceAll('"', "") });
    expect(await textOf("cas")).toBe("4");
  });

  test("of 20 who create at once exactly one wins, and its bytes are there", async () => {
    const racers = Array.from({ length: 20 }, (_, i) =>
      put("race", `${i}`.repeat(50_000), { IfNoneMatch: "*" }).then(
        () => i,
        (error) => error.name,
      ),
    );
    const results = await Promise.all(racers);
    const winners = results.filter((result) => typeof result === "number");
    expect(winners).toHaveLength(1);
    expect(new Set(results.filter((result) => typeof result !== "number"))).toEqual(new Set(["PreconditionFailed"]));
    expect(await textOf("race")).toBe(`${winners[0]}`.repeat(50_000));
  });

  test("of 20 who replace at once exactly one wins", async () => {
    const { ETag = "" } = await put("swap", "old");
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        put("swap", `new ${i}`, { IfMatch: ETag }).then(
          () => true,
          () => false,
        ),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  test("GET and HEAD answer 304 and 412", async () => {
    const { ETag = "" } = await put("read", "x");
    const past = new Date(Date.now() - 3_600_000);
    const future = new Date(Date.now() + 3_600_000);
    const status = async (options: Partial<GetObjectCommandInput>) => {
      const statuses = [
        new GetObjectCommand({ Bucket, Key: "read", ...options }),
        new HeadObjectCommand({ Bucket, Key: "read", ...options }),
      ].map(async (command) => {
        const sent = command instanceof GetObjectCommand ? s3.send(command) : s3.send(command);
        return await sent.then(
          ({ $metadata }) => $metadata.httpStatusCode,
          (error) => error.$metadata.httpStatusCode,
        );
      });
      const [get, head] = await Promise.all(statuses);
      expect(head).toBe(get);
      return get;
    };
    expect(await status({ IfNoneMatch: ETag })).toBe(304);
    expect(await status({ IfNoneMatch: '"other"' })).toBe(200);
    expect(await status({ IfMatch: ETag })).toBe(200);
    expect(await status({ IfMatch: '"other"' })).toBe(412);
    expect(await status({ IfModifiedSince: future })).toBe(304);
    expect(await status({ IfModifiedSince: past })).toBe(200);
    expect(await status({ IfUnmodifiedSince: past })).toBe(412);
    expect(await status({ IfUnmodifiedSince: future })).toBe(200);
    expect(await status({ IfMatch: ETag, IfUnmodifiedSince: past })).toBe(200);
    expect(await status({ IfNoneMatch: ETag, IfModifiedSince: past })).toBe(304);
    expect(await status({ IfNoneMatch: '"other"', IfModifiedSince: future })).toBe(200);
  });

  test("a delete that names another ETag deletes nothing", async () => {
    const { ETag = "" } = await put("del", "x");
    const del = (IfMatch: string) => s3.send(new DeleteObjectCommand({ Bucket, Key: "del", IfMatch }));
    expect(await errorOf(del('"other"'))).toEqual({ code: "PreconditionFailed", status: 412 });
    expect(await textOf("del")).toBe("x");
    await del(ETag);
    expect(await errorOf(del("*"))).toEqual({ code: "NoSuchKey", status: 404 });
    expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "del" })))).toMatchObject({ status: 404 });
  });
});
