import * as openpgp from "openpgp";
import { AppError } from "../error.ts";
import { type SigningKey, signDetached } from "./openpgp.ts";
import { verifyDetached } from "./verify.ts";

export type ImportedKey = SigningKey & {
  /** From when on it signs no more; undefined where that never comes. */
  readonly expiresAt: Date | undefined;
};

/** What gpg 2.2 verifies, and with it apt and rpm; Ed25519 under its newer number is not among it. */
const CURVES = new Set<string>(["ed25519Legacy", "nistP256", "nistP384", "nistP521"]);
const { rsaEncryptSign, rsaSign, ecdsa, eddsaLegacy } = openpgp.enums.publicKey;
const ALGORITHMS = new Set<number>([rsaEncryptSign, rsaSign, ecdsa, eddsaLegacy]);

const HOW = "give one armored private key without a passphrase, as `gpg --armor --export-secret-keys` writes it";

/**
 * A private key that its owner gave: able to sign now, in a way that apt, dnf and gpg verify. Told by the fingerprint of its
 * primary key, whichever part of it signs.
 *
 * @throws AppError `unprocessable` that says what is wrong with it, and nothing of what is in it
 */
export async function importSigningKey(armored: string, now: Date): Promise<ImportedKey> {
  const key = await onlyPrivateKey(armored);
  const keyId = key.getFingerprint().toUpperCase();
  if (key.keyPacket.version !== 4) throw refused(`key ${keyId} is of version ${key.keyPacket.version}; expected 4`);
  checkAlgorithm(key);
  const signer = await signerOf(key, keyId, now);
  checkAlgorithm(signer);
  const { keyPacket } = signer;
  if (!("isDummy" in keyPacket) || keyPacket.isDummy()) {
    throw refused(`the part of key ${keyId} that signs holds no secret; export it too`);
  }
  if (!keyPacket.isDecrypted())
    throw refused(`key ${keyId} is protected by a passphrase; remove it and export it again`);
  const privateKeyArmored = key.armor();
  await tried(keyId, privateKeyArmored, now);
  return { keyId, privateKeyArmored, expiresAt: await expiryOf(key, signer) };
}

async function onlyPrivateKey(armored: string): Promise<openpgp.PrivateKey> {
  const blocks = armored.match(/^-----BEGIN PGP [A-Z ]+-----/gm) ?? [];
  if (blocks.length === 1 && blocks[0]?.includes("PUBLIC KEY")) throw refused("key is a public key: it cannot sign");
  if (blocks.length > 1) throw refused(`key holds ${blocks.length} armored blocks; expected 1`);
  let keys: openpgp.PrivateKey[];
  try {
    keys = await openpgp.readPrivateKeys({ armoredKeys: armored });
  } catch {
    throw refused("key is no armored OpenPGP private key that can be read");
  }
  const [key, ...more] = keys;
  if (!key || more.length > 0) throw refused(`key holds ${keys.length} private keys; expected 1`);
  return key;
}

/** Both of the primary key, whose word makes a subkey one of its own, and of what signs. */
function checkAlgorithm(part: openpgp.PrivateKey | openpgp.Subkey): void {
  const { algorithm, curve } = part.getAlgorithmInfo();
  if (ALGORITHMS.has(part.keyPacket.algorithm) && (curve === undefined || CURVES.has(curve))) return;
  throw refused(
    `key is of ${curve ?? algorithm}, which not every apt and dnf verifies; expected RSA, EdDSA of gpg 2.2 (ed25519Legacy) or a NIST curve`,
  );
}

async function signerOf(key: openpgp.PrivateKey, keyId: string, now: Date) {
  try {
    return await key.getSigningKey(undefined, now);
  } catch (error) {
    const [why = ""] = (error instanceof Error ? error.message : "unusable").split("\n");
    throw refused(`key ${keyId} cannot sign: ${why}`);
  }
}

/** A secret that does not belong to its public part signs too, but nobody could verify it. */
async function tried(keyId: string, armored: string, now: Date): Promise<void> {
  try {
    const text = "Packhouse";
    const signature = await signDetached(text, [armored], now);
    await verifyDetached(Buffer.from(text), Buffer.from(signature), armored);
  } catch {
    throw refused(`key ${keyId} is damaged: what it signs cannot be verified with it`);
  }
}

async function expiryOf(...parts: readonly (openpgp.PrivateKey | openpgp.Subkey)[]): Promise<Date | undefined> {
  const times = await Promise.all(parts.map((part) => part.getExpirationTime()));
  const dates = times.filter((time) => time instanceof Date).map((time) => time.getTime());
  return dates.length > 0 ? new Date(Math.min(...dates)) : undefined;
}

function refused(problem: string): AppError {
  return new AppError("unprocessable", `${problem}; ${HOW}`);
}
