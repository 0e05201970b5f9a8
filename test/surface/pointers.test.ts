import { afterAll, beforeAll, expect, test } from "vitest";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

let packhouse: TestPackhouse;
beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

const KEY = { kind: "pointer", type: "dir", repo: "lab", path: "SHA256SUMS" } as const;

test("a pointer that somebody wrote or removed since it was read is left as it is", async () => {
  const { objects } = packhouse.context;
  const none = await objects.headPointer(KEY);
  expect(await objects.putPointer(KEY, Buffer.from("1"), none, {})).toBe(true);
  expect(await objects.putPointer(KEY, Buffer.from("2"), none, {})).toBe(false);
  const first = await objects.headPointer(KEY);
  expect(await objects.putPointer(KEY, Buffer.from("3"), first, {})).toBe(true);
  expect(await objects.putPointer(KEY, Buffer.from("4"), first, {})).toBe(false);
  await objects.deletePointer(KEY);
  expect(await objects.putPointer(KEY, Buffer.from("5"), first, {})).toBe(false);
  expect(await objects.getPointer(KEY)).toBeUndefined();
});
