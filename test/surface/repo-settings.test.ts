import { afterAll, beforeAll, expect, test } from "vitest";
import { keys } from "../../shared/store/keys.ts";
import { waitFor } from "../../shared/wait.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

let packhouse: TestPackhouse;

beforeAll(async () => {
  packhouse = await startPackhouse();
});
afterAll(() => packhouse.remove());

async function made(name: string, settings: object = {}): Promise<void> {
  const { status, body } = await packhouse.call("POST", "/repo", { name, type: "apt", ...settings });
  expect(status, JSON.stringify(body)).toBe(201);
}

const told = async (name: string) => (await packhouse.call("GET", `/repo/${name}`)).body;

async function release(name: string): Promise<string> {
  return (await packhouse.call("GET", `/apt/${name}/dists/stable/Release`)).body;
}

/** Waits until all of a repo is published. */
async function published(name: string): Promise<void> {
  const isSo = async () => {
    const { commit, published_commit } = await told(name);
    return commit === published_commit;
  };
  expect(await waitFor(isSo, 15_000)).toBe(true);
}

test("a repo of which nothing was said tells every setting, and the key it was published with", async () => {
  await made("plain");
  const { key_id, created_at, updated_at, ...rest } = await told("plain");
  expect(rest).toEqual({
    name: "plain",
    type: "apt",
    accepts: [],
    suite: "stable",
    component: "main",
    components: ["main"],
    architectures: ["amd64", "arm64"],
    origin: "plain",
    label: "plain",
    description: "",
    follow: null,
    keep: 100,
    not_automatic: false,
    indexes: ["gz"],
    valid_for: null,
    old_keys: [],
    url: `${packhouse.url}/apt/plain`,
    commit: 0,
    published_commit: 0,
    packages: 0,
  });
  expect(key_id).toMatch(/^[0-9A-F]{40}$/);
  expect(updated_at).toBe(created_at);
});

test("indexes and valid_for are kept as said, told again in words, and a change of them is published", async () => {
  await made("chosen", { indexes: ["xz", "gz"], valid_for: "36 hours" });
  expect(await told("chosen")).toMatchObject({ indexes: ["gz", "xz"], valid_for: "36 hours", commit: 0 });
  const changed = await packhouse.call("PUT", "/repo/chosen", { valid_for: "1 week", indexes: ["gz"] });
  expect(changed).toMatchObject({ status: 200, body: { indexes: ["gz"], valid_for: "7 days", commit: 1 } });
  await published("chosen");
  const text = await release("chosen");
  const at = (field: string) => Date.parse(new RegExp(`^${field}: (.+)$`, "m").exec(text)?.[1] ?? "");
  expect(at("Valid-Until") - at("Date")).toBe(7 * 86_400_000);
  expect((await packhouse.call("PUT", "/repo/chosen", { valid_for: null })).body.valid_for).toBeNull();
  await published("chosen");
  expect(await release("chosen")).not.toContain("Valid-Until");
});

test.each([
  ["indexes", ["xz"], /indexes: must be \["gz"\] or \["gz","xz"\]/],
  ["indexes", ["gz", "bz2"], /indexes.1: /],
  ["valid_for", "59 minutes", /valid_for: "59 minutes" is no duration from 1 hour to 3650 days/],
  ["valid_for", "11 years", /valid_for: "11 years" is no duration/],
  ["valid_for", "soon", /valid_for: "soon" is no duration/],
  ["valid_for", 3600, /valid_for: /],
])("%s %j is refused with what would be right", async (setting, value, message) => {
  const { status, body } = await packhouse.call("POST", "/repo", { name: "wrong", type: "apt", [setting]: value });
  expect(status).toBe(400);
  expect(body.detail).toMatch(message);
});

test("once published, a change of origin, label or suite needs force; the same values do not", async () => {
  await made("known", { origin: "Lab", label: "Tools" });
  for (const change of [{ origin: "Other" }, { label: "Other" }, { suite: "testing" }]) {
    const { status, body } = await packhouse.call("PUT", "/repo/known", { ...change, description: "changed" });
    expect(status).toBe(409);
    expect(body.detail).toMatch(/apt clients stop at a changed origin, label or suite .*"force": true/);
    expect(body.changes).toEqual(Object.keys(change));
  }
  expect(await told("known")).toMatchObject({ origin: "Lab", label: "Tools", suite: "stable", description: "" });
  const same = { origin: "Lab", label: "Tools", suite: "stable", description: "new" };
  expect(await packhouse.call("PUT", "/repo/known", same)).toMatchObject({ status: 200, body: { description: "new" } });
  const inBody = await packhouse.call("PUT", "/repo/known", { origin: "Other", force: true });
  expect(inBody).toMatchObject({ status: 200, body: { origin: "Other" } });
  const inQuery = await packhouse.call("PUT", "/repo/known?force=true", { label: "Other" });
  expect(inQuery).toMatchObject({ status: 200, body: { label: "Other" } });
  await published("known");
  expect(await release("known")).toMatch(/^Origin: Other\nLabel: Other\n/);
});

test("a repo that was stored before a setting was known has its default", async () => {
  await made("early");
  const { table } = packhouse.context;
  const remove = ["indexes", "validFor", "signing", "settled"];
  await table.update(keys.repo("apt", "early"), { remove });
  expect(await told("early")).toMatchObject({ indexes: ["gz"], valid_for: null, key_id: expect.any(String) });
  const changed = await packhouse.call("PUT", "/repo/early", { description: "late" });
  expect(changed).toMatchObject({ status: 200, body: { description: "late", commit: 1 } });
});
