import { generateSigningKey } from "../../shared/signing/openpgp.ts";

let made: Promise<{ privateKeyArmored: string }> | undefined;

/** A key to make repos with: the default one of 4,096 bits takes seconds for each. */
export async function smallKey(): Promise<{ readonly key: string }> {
  made ??= generateSigningKey({ userId: "tools", algorithm: "ed25519Legacy", now: new Date(Date.now() - 60_000) });
  return { key: (await made).privateKeyArmored };
}
