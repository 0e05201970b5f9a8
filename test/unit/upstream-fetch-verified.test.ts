import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { CHECKSUM, cutAt, FILE, file, OTHER, run, type Step, whole } from "../support/upstream-download.ts";

describe("at the end of a download", () => {
  test.each(["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] as const)("a %s is compared", async (algorithm) => {
    const value = createHash(algorithm).update(FILE).digest("hex");
    const right = await run([whole(file(FILE))], { checksum: { algorithm, value: value.toUpperCase() } });
    expect(right.error).toBeUndefined();
    const { error } = await run([whole(file(OTHER))], { checksum: { algorithm, value } });
    expect(error).toMatchObject({ name: "UpstreamError", reason: "checksum" });
    expect(String(error)).toContain(
      `/f.deb: expected ${algorithm} ${value}, got ${createHash(algorithm).update(OTHER).digest("hex")}`,
    );
  });

  test("bytes joined from two files are found out", async () => {
    const { error } = await run([cutAt(file(FILE), 5), whole(file(OTHER))], { checksum: CHECKSUM });
    expect(error).toMatchObject({ reason: "checksum" });
  });

  const chunked =
    (bytes: Buffer): Step =>
    (_, response) => {
      response.flushHeaders();
      response.end(bytes);
    };
  test.each<[string, Step, number]>([
    ["announced", whole(file(FILE)), 0],
    ["too small", chunked(FILE.subarray(1)), FILE.length - 1],
  ])("a size that is wrong is refused (%s)", async (_, step, length) => {
    const { error, bytes } = await run([step], { sizeBytes: length === 0 ? FILE.length + 1 : FILE.length });
    expect(error).toMatchObject({ name: "UpstreamError", reason: "size" });
    expect(bytes).toHaveLength(length);
  });

  test("no byte beyond the size is handed on", async () => {
    const { error, bytes } = await run([chunked(FILE)], { sizeBytes: 100_000 });
    expect(error).toMatchObject({
      reason: "size",
      message: expect.stringContaining("expected 100000 bytes, got more"),
    });
    expect(bytes.length).toBeLessThanOrEqual(100_000);
  });

  test("a part whose whole is of another size is refused", async () => {
    const longer = file(Buffer.concat([FILE, FILE]));
    const { error } = await run([cutAt(file(FILE), 5), whole(longer)], { sizeBytes: FILE.length, checksum: CHECKSUM });
    expect(error).toMatchObject({ reason: "size", message: expect.stringContaining("got 600000") });
  });

  test("the limit holds for the parts together", async () => {
    const tagged = file(FILE, { ETag: '"1"' });
    const maxBytes = FILE.length - 1;
    expect((await run([whole(tagged)], { maxBytes })).error).toMatchObject({ reason: "too_large" });
    const lying: Step = (_, response) => {
      response.writeHead(206, { "Content-Range": "bytes 5-9/*" });
      response.flushHeaders();
      response.end(FILE.subarray(3));
    };
    const short = file(FILE.subarray(0, 1000), { ETag: '"1"' });
    const { error, bytes } = await run([cutAt(short, 5), lying], { maxBytes });
    expect(error).toMatchObject({ reason: "too_large" });
    expect(bytes.length).toBeLessThanOrEqual(maxBytes);
  });

  test("an encoding is no matter where a checksum tells, and refused where none does", async () => {
    const coded = file(FILE, { "Content-Encoding": "gzip" });
    expect((await run([whole(coded)], { checksum: CHECKSUM })).error).toBeUndefined();
    expect((await run([whole(coded)])).error).toMatchObject({ reason: "encoding" });
  });
});
