import { readKeys } from "openpgp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../shared/wait.ts";
import { type Gpg, openGpg } from "../support/gpg-keys.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

let packhouse: TestPackhouse;
let gpg: Gpg;

beforeAll(async () => {
  gpg = openGpg();
  packhouse = await startPackhouse();
});
afterAll(async () => {
  await gpg.close();
  await packhouse.remove();
});

async function made(name: string, settings: object = {}): Promise<string> {
  const { status, body } = await packhouse.call("POST", "/repo", { name, type: "apt", ...settings });
  expect(status, JSON.stringify(body)).toBe(201);
  // It is made with the first publication, for which a busy machine takes its time.
  expect(await waitFor(async () => (await told(name)).key_id !== null, 30_000)).toBe(true);
  return (await told(name)).key_id;
}

const told = async (name: string) => (await packhouse.call("GET", `/repo/${name}`)).body;
const rotate = (name: string, body?: unknown) => packhouse.call("POST", `/repo/${name}/key/rotate`, body);

/** A new key of gpg, armored. */
async function secret(...wanted: Parameters<Gpg["make"]>): Promise<string> {
  return gpg.secret(await gpg.make(...wanted));
}

/** The fingerprints in a repo's key.asc, once all of it is published. */
async function served(name: string): Promise<string[]> {
  const isSo = async () => {
    const { commit, published_commit } = await told(name);
    return commit === published_commit;
  };
  expect(await waitFor(isSo, 15_000)).toBe(true);
  const keys = await readKeys({ armoredKeys: (await packhouse.call("GET", `/apt/${name}/key.asc`)).body });
  return keys.map((key) => key.getFingerprint().toUpperCase());
}

const THIRTY_DAYS_MS = 30 * 86_400_000;

test("a rotation tells the new key, and until when the old one signs: for 30 days unless told otherwise", async () => {
  const old = await made("monthly");
  const { status, body } = await rotate("monthly", {});
  expect(status).toBe(200);
  expect(body).toMatchObject({ key_id: expect.stringMatching(/^[0-9A-F]{40}$/), commit: 1 });
  expect(body.old_keys).toEqual([{ key_id: old, until: expect.any(String) }]);
  expect(Math.abs(Date.parse(body.old_keys[0].until) - Date.now() - THIRTY_DAYS_MS)).toBeLessThan(60_000);
  expect(await served("monthly")).toEqual([body.key_id, old]);
  expect(await told("monthly")).toMatchObject({ key_id: body.key_id, old_keys: body.old_keys });
});

test("a rotation needs no body, and tells of an overlap that is none", async () => {
  const old = await made("bare");
  const first = await rotate("bare");
  expect(first).toMatchObject({ status: 200, body: { old_keys: [{ key_id: old }] } });
  for (const overlap of ["soon", "11 years", "-1 day", 30]) {
    const { status, body } = await rotate("bare", { overlap });
    expect(status).toBe(400);
    expect(body.detail).toMatch(/^overlap: /);
  }
  expect((await rotate("bare", { lap: "1 day" })).status).toBe(400);
  expect((await rotate("nowhere", {})).status).toBe(404);
});

test("when the overlap is over, the new key is published alone, by itself", async () => {
  const old = await made("brief");
  const { body } = await rotate("brief", { overlap: "4 seconds", key: await secret("brief") });
  expect(body.old_keys).toMatchObject([{ key_id: old }]);
  expect(await waitFor(async () => (await told("brief")).old_keys.length === 0, 30_000)).toBe(true);
  expect(await served("brief")).toEqual([body.key_id]);
});

test("a repo made with a key signs with it, and is never told to have it", async () => {
  const key = await gpg.make("own");
  const text = await gpg.secret(key);
  expect(await made("own", { key: text })).toBe(key);
  expect(await served("own")).toEqual([key]);
  expect(JSON.stringify(await told("own"))).not.toContain("PRIVATE");
  const inside = text.split("\n").slice(3, 6);
  for (const [name, value] of Object.entries(await told("own"))) {
    for (const line of inside) expect(String(value), name).not.toContain(line);
  }
});

test("a published repo takes another key by PUT only by force; the same key is no change", async () => {
  const [first, second] = [await gpg.make("first"), await gpg.make("second")];
  await made("kept", { key: await gpg.secret(first) });
  const same = await packhouse.call("PUT", "/repo/kept", { key: await gpg.secret(first) });
  expect(same).toMatchObject({ status: 200, body: { key_id: first, commit: 0 } });
  const refused = await packhouse.call("PUT", "/repo/kept", { key: await gpg.secret(second) });
  expect(refused.status).toBe(409);
  expect(refused.body.detail).toMatch(/clients that hold it would refuse another.*\/repo\/kept\/key\/rotate/);
  expect(await served("kept")).toEqual([first]);
  const forced = await packhouse.call("PUT", "/repo/kept", { key: await gpg.secret(second), force: true });
  expect(forced).toMatchObject({ status: 200, body: { key_id: second, old_keys: [] } });
  expect(await served("kept")).toEqual([second]);
});

test("a key that its owner has prolonged takes the place of its old form without force", async () => {
  const key = await gpg.make("prolonged", { expires: "2d" });
  await made("prolonged", { key: await gpg.secret(key) });
  await gpg.run("--passphrase", "", "--quick-set-expire", key, "3y");
  const put = await packhouse.call("PUT", "/repo/prolonged", { key: await gpg.secret(key) });
  expect(put).toMatchObject({ status: 200, body: { key_id: key, commit: 1 } });
  expect(await served("prolonged")).toEqual([key]);
  const [read] = await readKeys({ armoredKeys: (await packhouse.call("GET", "/apt/prolonged/key.asc")).body });
  const expiry = await read?.getExpirationTime();
  expect(expiry instanceof Date && expiry.getTime()).toBeGreaterThan(Date.now() + 700 * 86_400_000);
});

/** Each with what is said of it. */
const refused: Record<string, [() => Promise<string>, RegExp]> = {
  "a public key": [async () => gpg.public(await gpg.make("p")), /is a public key: it cannot sign/],
  "a key with a passphrase": [() => secret("e", { passphrase: "secret" }), /protected by a passphrase/],
  garbage: [async () => "let me in", /no armored OpenPGP private key/],
  "a damaged key": [async () => (await secret("d")).replace(/\n[A-Za-z0-9+/]{10}/, "\nAAAAAAAAAA"), /that can be read/],
  "a key that only certifies": [() => secret("c", { usage: "cert" }), /cannot sign/],
  "a weak key": [() => secret("w", { algorithm: "rsa1024" }), /too weak/],
  "a key of a curve that few verify": [
    () => secret("b", { algorithm: "brainpoolP256r1" }),
    /brainpoolP256r1, which not every apt and dnf verifies/,
  ],
  "an expired key": [
    () => secret("x", { expires: "20200102T000000", options: ["--faked-system-time", "20200101T000000"] }),
    /cannot sign: .*expired/,
  ],
  "a key of the future": [() => secret("f", { options: ["--faked-system-time", "20350101T000000"] }), /cannot sign/],
  "two keys": [
    async () => gpg.run("--armor", "--export-secret-keys", await gpg.make("t1"), await gpg.make("t2")),
    /holds 2 private keys; expected 1/,
  ],
  "two blocks": [async () => (await secret("t3")) + (await secret("t4")), /holds 2 armored blocks; expected 1/],
};

test.each(Object.keys(refused))("%s is refused with what is wrong, and nothing is made", async (what) => {
  const [key, message] = refused[what] ?? [async () => "", /never/];
  const text = await key();
  const { status, body } = await packhouse.call("POST", "/repo", { name: "none", type: "apt", key: text });
  expect(status, JSON.stringify(body)).toBe(422);
  expect(body.detail).toMatch(message);
  expect(body.detail).not.toMatch(/node_modules|BEGIN/);
  expect((await packhouse.call("GET", "/repo/none")).status).toBe(404);
  const rotated = await rotate("monthly", { key: text });
  expect(rotated).toMatchObject({ status: 422, body: { detail: expect.stringMatching(message) } });
});

test("a key longer than any is refused before it is read", async () => {
  const { status, body } = await packhouse.call("POST", "/repo", { name: "n", type: "apt", key: "x".repeat(65_537) });
  expect(status).toBe(400);
  expect(body.detail).toMatch(/^key: /);
});
