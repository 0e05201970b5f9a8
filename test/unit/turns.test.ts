import { expect, test } from "vitest";
import { inTurn } from "../../shared/turns.ts";

test("work on one thing is done in the order it was asked for, one at a time, whatever comes of it", async () => {
  const here = {};
  const told: string[] = [];
  const gates = new Map(["a", "b", "c"].map((name) => [name, Promise.withResolvers<void>()]));
  const work = (name: string) => async () => {
    told.push(`begin ${name}`);
    await gates.get(name)?.promise;
    told.push(`end ${name}`);
    return name;
  };
  const all = ["a", "b", "c"].map((name) => inTurn(here, "repo", work(name)).catch((error: Error) => error.message));
  gates.get("c")?.resolve();
  gates.get("b")?.reject(new Error("b went wrong"));
  // Another thing, and another process, do not wait.
  expect(await inTurn(here, "other", async () => "at once")).toBe("at once");
  expect(await inTurn({}, "repo", async () => "at once")).toBe("at once");
  expect(told).toEqual(["begin a"]);
  gates.get("a")?.resolve();
  expect(await Promise.all(all)).toEqual(["a", "b went wrong", "c"]);
  expect(told).toEqual(["begin a", "end a", "begin b", "begin c", "end c"]);
});
