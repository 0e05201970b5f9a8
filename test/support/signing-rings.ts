import * as openpgp from "openpgp";
import { expect } from "vitest";
import { publishRepo } from "../../shared/publication/publish.ts";
import type { RepoRef } from "../../shared/repo/repo.ts";
import { resignRepo } from "../../shared/repo/resign.ts";
import { generateSigningKey, type SigningKey } from "../../shared/signing/openpgp.ts";
import type { MemoryContext } from "./memory-context.ts";

/** Small keys, since thousands of signatures are made: told by name, as letters. */
export async function smallKeys(names: string, now: Date): Promise<Record<string, SigningKey>> {
  const made = [...names].map(
    async (name) => [name, await generateSigningKey({ userId: name, algorithm: "ed25519Legacy", now })] as const,
  );
  return Object.fromEntries(await Promise.all(made));
}

/** The fingerprints that clients of an apt repo meet, newest first: those that signed, which must be those of the key files. */
export async function signersOf(ctx: MemoryContext, { name }: RepoRef): Promise<string[]> {
  const read = (path: string) => {
    const bytes = ctx.pointers.get(`pointers/apt/${name}/${path}`)?.bytes;
    if (!bytes) throw new Error(`${path} is not published`);
    return bytes;
  };
  const keys = await openpgp.readKeys({ binaryKeys: read("key.gpg") });
  const armored = await openpgp.readKeys({ armoredKeys: read("key.asc").toString() });
  const signed = await openpgp.readCleartextMessage({
    cleartextMessage: read("dists/stable/InRelease").toString(),
  });
  const fingerprints = keys.map((key) => key.getFingerprint().toUpperCase());
  expect(armored.map((key) => key.getFingerprint().toUpperCase())).toEqual(fingerprints);
  const { signatures } = await openpgp.verify({ message: signed, verificationKeys: keys, date: null });
  for (const { verified } of signatures) expect(await verified).toBe(true);
  expect(signatures.map(({ keyID }) => keyID.toHex().toUpperCase())).toEqual(fingerprints.map((one) => one.slice(-16)));
  return fingerprints;
}

/** Time passes; then comes all that is due: the looks that were planned, and a publication of the head. */
export async function later(ctx: MemoryContext, ref: RepoRef, seconds: number): Promise<void> {
  ctx.clock.ms += seconds * 1000;
  await resignRepo(ctx, ref);
  await publishRepo(ctx, ref);
}
