import * as openpgp from "openpgp";
import { sha256Of } from "../blob.ts";
import { AppError } from "../error.ts";

/** RSA-4096 is what yum of EL7 needs; `ed25519Legacy` is small, fast, and verified by gpg 2.2 (the newer id 27 is not). */
export type SigningAlgorithm = "rsa4096" | "ed25519Legacy";

export type SigningKey = {
  /** The whole v4 fingerprint, 40 upper-case hex digits. */
  keyId: string;
  /** Without a passphrase: whoever keeps it seals it (sealer.ts). */
  privateKeyArmored: string;
};

/**
 * v4 keys and signatures with SHA-512, which every gpg, apt and rpm since EL6 verifies. The same text, keys and date give the
 * same signature: no random notation. Nothing in the armor tells what made it.
 */
const CONFIG: openpgp.Config = {
  ...openpgp.config,
  preferredHashAlgorithm: openpgp.enums.hash.sha512,
  nonDeterministicSignaturesViaNotation: false,
  v6Keys: false,
  aeadProtect: false,
  showVersion: false,
  showComment: false,
};

/** gpg refuses a key from its future, and with it everything signed: a client's clock may be late by this much. */
const BACKDATED_MS = 24 * 60 * 60 * 1000;

/** One key that certifies and signs, no subkey. Made by WebCrypto off the event loop: RSA takes 0.5 to 3 seconds. */
export async function generateSigningKey(wanted: {
  userId: string;
  algorithm?: SigningAlgorithm;
  now: Date;
}): Promise<SigningKey> {
  const { privateKey } = await openpgp.generateKey({
    ...(wanted.algorithm === "ed25519Legacy"
      ? { type: "ecc", curve: "ed25519Legacy" }
      : { type: "rsa", rsaBits: 4096 }),
    userIDs: [{ name: wanted.userId }],
    date: new Date(wanted.now.getTime() - BACKDATED_MS),
    subkeys: [],
    format: "object",
    config: CONFIG,
  });
  return { keyId: privateKey.getFingerprint().toUpperCase(), privateKeyArmored: privateKey.armor(CONFIG) };
}

/**
 * The text with its signatures inside (InRelease), RFC 9580 7: ends of lines are `\n`, trailing blanks are gone, one final
 * newline at most belongs to the frame. Assembled here, since openpgp.js writes CRLF and takes U+2028 for the end of a line.
 */
export async function signCleartext(text: string, keys: readonly string[], date: Date): Promise<string> {
  const lines = text.split("\n").map(withoutTrailingBlanks);
  if (lines.at(-1) === "") lines.pop();
  const signature = await signaturesOf(await openpgp.createMessage({ text: lines.join("\r\n") }), keys, date);
  const shown = lines.map((line) => `${line.startsWith("-") ? "- " : ""}${line}\n`).join("");
  return `-----BEGIN PGP SIGNED MESSAGE-----\nHash: ${await hashesIn(signature)}\n\n${shown}${signature}`;
}

/** gpg computes only the hashes that are named before the text: a key from elsewhere may prefer another than ours. */
async function hashesIn(armored: string): Promise<string> {
  const { packets } = await openpgp.readSignature({ armoredSignature: armored, config: CONFIG });
  const names = [...packets].map(({ hashAlgorithm }) =>
    hashAlgorithm === null ? "" : openpgp.enums.read(openpgp.enums.hash, hashAlgorithm).toUpperCase(),
  );
  return [...new Set(names)].join(", ");
}

/** Armored, over exactly these bytes (text as UTF-8): `Release.gpg`, `repomd.xml.asc`, `SHA256SUMS.asc`. */
export async function signDetached(content: string | Uint8Array, keys: readonly string[], date: Date): Promise<string> {
  const binary = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return signaturesOf(await openpgp.createMessage({ binary }), keys, date);
}

/**
 * All certificates in **one** armored block (`key.asc`): apt reads the first block of a file and no further, and
 * `rpm --import` takes every certificate of a block. Put the newest key first: rpm of EL7 takes the first only.
 * Keys may be given private or public.
 */
export async function publicKeyArmored(keys: readonly string[]): Promise<string> {
  return openpgp.armor(
    openpgp.enums.armor.publicKey,
    await publicKeyBinary(keys),
    undefined,
    undefined,
    undefined,
    true,
    CONFIG,
  );
}

/** The same, unarmored (`key.gpg`): a keyring for apt's `signed-by` and for gpgv. */
export async function publicKeyBinary(keys: readonly string[]): Promise<Uint8Array> {
  const certificates = await Promise.all(atLeastOne(keys).map(parsed));
  return Buffer.concat(certificates.map((key) => key.toPublic().write()));
}

async function signaturesOf(
  message: openpgp.Message<string> | openpgp.Message<Uint8Array>,
  keys: readonly string[],
  date: Date,
): Promise<string> {
  const signingKeys = await Promise.all(atLeastOne(keys).map(parsedPrivate));
  return openpgp.sign({ message, signingKeys, date, detached: true, format: "armored", config: CONFIG });
}

/** What gpg takes for trailing blanks, without a regular expression that is quadratic in them. */
function withoutTrailingBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && " \t\r".includes(line.charAt(end - 1))) end -= 1;
  return line.slice(0, end);
}

function atLeastOne(keys: readonly string[]): readonly string[] {
  if (keys.length === 0) throw new AppError("invalid", "no signing key was given: expected one armored key at least");
  return keys;
}

async function parsedPrivate(armored: string): Promise<openpgp.PrivateKey> {
  const key = await parsed(armored);
  if (!key.isPrivate())
    throw new AppError("invalid", `key ${key.getFingerprint().toUpperCase()} is public: it cannot sign`);
  return key;
}

/** Parsing costs milliseconds: a warm process parses a key once. Named by hash, so the map's keys tell nothing. */
const PARSED_KEYS = 64;
const parsedKeys = new Map<string, Promise<openpgp.Key>>();

function parsed(armored: string): Promise<openpgp.Key> {
  const name = sha256Of(armored);
  const known = parsedKeys.get(name) ?? openpgp.readKey({ armoredKey: armored, config: CONFIG });
  parsedKeys.delete(name);
  parsedKeys.set(name, known);
  known.catch(() => parsedKeys.delete(name));
  for (const oldest of parsedKeys.keys()) {
    if (parsedKeys.size <= PARSED_KEYS) break;
    parsedKeys.delete(oldest);
  }
  return known;
}
