import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyCleartext, verifyDetached } from "../../shared/signing/verify.ts";

/** Keys and signatures of gpg itself. */
const home = mkdtempSync(join(tmpdir(), "packhouse-gpg-"));
const TEXT = "Origin: lab\n- dashes\nSHA256:\n abc 1 main/binary-amd64/Packages\n";
const keys: Record<string, string> = {};

function gpg(...given: string[]): string {
  return execFileSync("gpg", ["--homedir", home, "--batch", "--yes", "--quiet", ...given], { encoding: "utf8" });
}

beforeAll(() => {
  for (const name of ["trusted", "stranger"]) {
    gpg("--passphrase", "", "--quick-generate-key", `${name}@example.org`, "rsa3072", "sign", "never");
    keys[name] = gpg("--armor", "--export", `${name}@example.org`);
  }
  writeFileSync(join(home, "Release"), TEXT);
  gpg("-u", "trusted@example.org", "--clearsign", "-o", join(home, "InRelease"), join(home, "Release"));
  gpg("-u", "trusted@example.org", "--armor", "--detach-sign", "-o", join(home, "Release.gpg"), join(home, "Release"));
  gpg("-u", "trusted@example.org", "--detach-sign", "-o", join(home, "Release.sig"), join(home, "Release"));
});
afterAll(() => {
  execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
  rmSync(home, { recursive: true, force: true });
});

const file = (name: string) => readFileSync(join(home, name));
const key = (name: string) => keys[name] ?? "";

test("what gpg signed in clear is read as it was signed, by the holder of the key", async () => {
  expect((await verifyCleartext(file("InRelease").toString(), key("trusted"))).trimEnd()).toBe(TEXT.trimEnd());
  await verifyCleartext(file("InRelease").toString(), `${key("trusted")}`);
});

test("a detached signature is good, armored or not", async () => {
  await verifyDetached(file("Release"), file("Release.gpg"), key("trusted"));
  await verifyDetached(file("Release"), file("Release.sig"), key("trusted"));
});

test("another's key, a changed text, no signature and no key are refused in one sentence", async () => {
  const signed = file("InRelease").toString();
  await expect(verifyCleartext(signed, key("stranger"))).rejects.toThrow(/no good signature/);
  await expect(verifyCleartext(signed.replace("lab", "evil"), key("trusted"))).rejects.toThrow(/no good signature/);
  await expect(verifyCleartext(TEXT, key("trusted"))).rejects.toThrow(/is no OpenPGP/);
  await expect(verifyCleartext(signed, "no key")).rejects.toThrow(/the key is no OpenPGP/);
  await expect(verifyDetached(Buffer.from("other"), file("Release.gpg"), key("trusted"))).rejects.toThrow(/no good/);
  await expect(verifyDetached(file("Release"), file("Release.gpg"), key("stranger"))).rejects.toThrow(/no good/);
});
