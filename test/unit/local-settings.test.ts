import { expect, test } from "vitest";
import { bucketsOf, connectionsOf } from "../../functions/context.ts";
import { localSettings } from "../../infra/local/settings.ts";

test("connections a host and buckets of upstreams are taken from the environment, and nothing is the default", () => {
  const environment = { PACKHOUSE_CONNECTIONS_PER_HOST: "12", PACKHOUSE_UPSTREAM_BUCKETS: "team, old" };
  expect(localSettings(environment, "/")).toMatchObject({ connectionsPerHost: 12, upstreamBuckets: "team, old" });
  expect(localSettings({}, "/")).toMatchObject({ connectionsPerHost: undefined, upstreamBuckets: undefined });
});

test.each(["0", "65", "four", "", "1e1", "-1"])("%j connections a host are refused at start", (text) => {
  expect(() => localSettings({ PACKHOUSE_CONNECTIONS_PER_HOST: text }, "/")).toThrow("expected a number from 1 to 64");
  expect(connectionsOf(text === "1e1" ? "" : text)).toBeUndefined();
});

test("our own bucket is never one that upstreams may lie in", () => {
  expect(bucketsOf("team, packhouse ,,old", "packhouse")).toEqual(["team", "old"]);
  expect(bucketsOf(undefined, "packhouse")).toEqual([]);
});
