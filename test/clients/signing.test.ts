import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppError } from "../../shared/error.ts";
import {
  generateSigningKey,
  publicKeyArmored,
  publicKeyBinary,
  type SigningKey,
  signCleartext,
  signDetached,
} from "../../shared/signing/openpgp.ts";
import { openWorkbench, type Workbench } from "../support/workbench.ts";

let bench: Workbench;
let rsa: SigningKey;
let ecc: SigningKey;
let worstDelayMs: number;
const now = new Date();

beforeAll(async () => {
  bench = await openWorkbench("signing");
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  rsa = await generateSigningKey({ userId: "Packhouse repo tools", now });
  delays.disable();
  worstDelayMs = delays.max / 1e6;
  ecc = await generateSigningKey({ userId: "Packhouse repo größe", algorithm: "ed25519Legacy", now });
});

afterAll(() => bench.remove());

test("making an RSA key leaves the event loop free", () => {
  expect(worstDelayMs).toBeLessThan(200);
});

test("a key is told by its whole fingerprint, which gpg reads alike, of RSA 4096 in version 4", async () => {
  expect(rsa.keyId).toMatch(/^[0-9A-F]{40}$/);
  const packets = await bench.run("gpg", [
    "--list-packets",
    await bench.file("one.gpg", await publicKeyBinary([rsa.privateKeyArmored])),
  ]);
  expect(packets.output).toMatch(/version 4, algo 1/);
  expect(packets.output).toMatch(/pkey\[0\]: \[4096 bits\]/);
  expect(packets.output).not.toMatch(/secret key|notation|public sub key/);
  const shown = await bench.run("gpg", ["--show-keys", "--with-colons", join(bench.folder, "one.gpg")]);
  expect(shown.output).toContain(`fpr:::::::::${rsa.keyId}:`);
});

test("what is published never holds the private key, and no armor names its maker", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  const texts = [
    await publicKeyArmored(keys),
    await signDetached("x", keys, now),
    await signCleartext("x\n", keys, now),
  ];
  for (const text of texts) expect(text).not.toMatch(/PRIVATE|Version:|Comment:|openpgpjs/i);
});

test("the same text, keys and date give the same signature", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  expect(await signCleartext("a\n", keys, now)).toBe(await signCleartext("a\n", keys, now));
});

test("no key, a public key or no key at all refuses to sign", async () => {
  await expect(signDetached("x", [], now)).rejects.toBeInstanceOf(AppError);
  await expect(signDetached("x", [await publicKeyArmored([rsa.privateKeyArmored])], now)).rejects.toThrow(/is public/);
  await expect(signDetached("x", ["nonsense"], now)).rejects.toThrow();
});

const texts: Record<string, string> = {
  "plain lines": "Origin: tools\nSuite: stable\n",
  "lines that begin with dashes": "-\n- a\n--\n-----BEGIN PGP SIGNATURE-----\n- - x\n",
  "trailing blanks": "a \nb\t\n c  \t \n \n",
  "ends of lines with carriage returns": "a\r\nb\r\n\r\nc\rd\r\n",
  "no final newline": "a\nb",
  "empty lines at both ends": "\n\na\n\n\n",
  "nothing but a newline": "\n",
  "letters beyond ASCII": "Description: Größe 包 🦊 \u2028- x \u2029-y\u0085\n",
  "a long line": `${"x".repeat(15_000)}\n`,
};

describe.each(Object.entries(texts))("cleartext with %s", (name, text) => {
  test.each(["rsa", "ecc", "both"] as const)("verifies in gpg when signed by %s", async (who) => {
    const keys = who === "both" ? [rsa, ecc] : [who === "rsa" ? rsa : ecc];
    const secrets = keys.map((key) => key.privateKeyArmored);
    const ring = await bench.file(`${name}/${who}.gpg`, await publicKeyBinary(secrets));
    const inRelease = await bench.file(`${name}/${who}.asc`, await signCleartext(text, secrets, now));
    const output = join(bench.folder, name, `${who}.out`);
    const verified = await bench.run("gpgv", ["--status-fd", "1", "--keyring", ring, "--output", output, inRelease]);
    expect(verified.output).not.toMatch(/BADSIG|ERRSIG/);
    expect(verified.output.match(/GOODSIG/g)).toHaveLength(keys.length);
    expect(verified.output.match(/VALIDSIG .* (1|22) 10 01 /g)).toHaveLength(keys.length);
    const lines = text.replace(/[ \t\r]+(?=\n|$)/g, "");
    expect(await readFile(output, "utf8")).toBe(lines.endsWith("\n") ? lines : `${lines}\n`);
  });

  test("verifies detached, byte for byte", async () => {
    const secrets = [rsa.privateKeyArmored, ecc.privateKeyArmored];
    const ring = await bench.file(`${name}/ring.gpg`, await publicKeyBinary(secrets));
    const signature = await bench.file(`${name}/text.sig`, await signDetached(text, secrets, now));
    const verified = await bench.run("gpgv", ["--keyring", ring, signature, await bench.file(`${name}/text`, text)]);
    expect(verified).toMatchObject({ code: 0 });
    const other = await bench.run("gpgv", [
      "--keyring",
      ring,
      signature,
      await bench.file(`${name}/text2`, `${text} `),
    ]);
    expect(other.output).toMatch(/BAD signature/);
  });
});

test("a changed word, or another key's holder, fails in gpgv", async () => {
  const signed = await signCleartext("Suite: stable\n", [rsa.privateKeyArmored], now);
  const ring = await bench.file("tamper/rsa.gpg", await publicKeyBinary([rsa.privateKeyArmored]));
  const foreign = await bench.file("tamper/ecc.gpg", await publicKeyBinary([ecc.privateKeyArmored]));
  const changed = await bench.file("tamper/changed", signed.replace("stable", "sid"));
  expect((await bench.run("gpgv", ["--keyring", ring, changed])).output).toMatch(/BAD signature/);
  expect((await bench.run("gpgv", ["--keyring", foreign, await bench.file("tamper/ok", signed)])).code).not.toBe(0);
});

test("bytes that are no text are signed as they are", async () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
  const ring = await bench.file("bytes/ring.gpg", await publicKeyBinary([ecc.privateKeyArmored]));
  const signature = await bench.file("bytes/sig", await signDetached(bytes, [ecc.privateKeyArmored], now));
  expect(await bench.run("gpgv", ["--keyring", ring, signature, await bench.file("bytes/in", bytes)])).toMatchObject({
    code: 0,
  });
});

test("gpg --dearmor of key.asc is key.gpg", async () => {
  const keys = [rsa.privateKeyArmored, ecc.privateKeyArmored];
  const armored = await bench.file("dearmor/key.asc", await publicKeyArmored(keys));
  const out = join(bench.folder, "dearmor/out.gpg");
  expect(await bench.run("gpg", ["--batch", "--dearmor", "--output", out, armored])).toMatchObject({ code: 0 });
  expect(await readFile(out)).toEqual(Buffer.from(await publicKeyBinary(keys)));
});

test("rpm --import takes every certificate of key.asc", async () => {
  const armored = await bench.file(
    "rpm/key.asc",
    await publicKeyArmored([rsa.privateKeyArmored, ecc.privateKeyArmored]),
  );
  const dbpath = join(bench.folder, "rpm/db");
  expect(await bench.run("rpm", ["--dbpath", dbpath, "--import", armored])).toMatchObject({ code: 0 });
  const held = await bench.run("rpm", ["--dbpath", dbpath, "-qa", "gpg-pubkey", "--qf", "%{version}\n"]);
  const shortIds = [rsa, ecc].map((key) => key.keyId.slice(-8).toLowerCase());
  expect(held.output.trim().split("\n").sort()).toEqual(shortIds.sort());
});
