import { expect, test } from "vitest";
import { createSlots } from "../../shared/upstream/fetch-slots.ts";
import { thrownBy } from "../support/upstream-site.ts";

/** Takes slots of one host, and tells in which order they came. */
function taker(perHost: number) {
  const slots = createSlots(perHost);
  const order: string[] = [];
  const take = (name: string, signal?: AbortSignal) =>
    slots.acquire("a.example", signal).then((release) => {
      order.push(name);
      return release;
    });
  return { take, order };
}

test("a slot that is given back goes to the one who waited longest, though another asks just then", async () => {
  const { take, order } = taker(1);
  const release = await take("first");
  const second = take("second");
  const third = take("third");
  release();
  const late = take("late");
  (await second)();
  (await third)();
  (await late)();
  expect(order).toEqual(["first", "second", "third", "late"]);
});

test("to give back twice gives no more than one", async () => {
  const { take, order } = taker(2);
  const release = await take("first");
  const second = await take("second");
  const third = take("third");
  release();
  release();
  const fourth = take("fourth");
  await new Promise(setImmediate);
  expect(order).toEqual(["first", "second", "third"]);
  second();
  (await third)();
  (await fourth)();
});

test("who leaves while waiting takes no slot along, and who leaves later none back", async () => {
  const { take, order } = taker(1);
  const release = await take("first");
  const abort = new AbortController();
  const leaving = thrownBy(take("leaving", abort.signal));
  const patient = new AbortController();
  const second = take("second", patient.signal);
  abort.abort("gone");
  expect(await leaving).toBe("gone");
  release();
  const releaseSecond = await second;
  const third = take("third");
  patient.abort();
  await new Promise(setImmediate);
  expect(order).toEqual(["first", "second"]);
  releaseSecond();
  (await third)();
});
