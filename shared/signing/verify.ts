import * as openpgp from "openpgp";
import { AppError } from "../error.ts";

/**
 * The text of a cleartext-signed message (InRelease), as it was signed, where one of the keys signed it.
 * @throws AppError that says what is wrong: no message, no signature of these keys, a wrong one
 */
export async function verifyCleartext(signed: string, armoredKeys: string): Promise<string> {
  const keys = await keysIn(armoredKeys);
  const message = await understood("the signed file", () => openpgp.readCleartextMessage({ cleartextMessage: signed }));
  const { signatures } = await openpgp.verify({ message, verificationKeys: keys, date: null });
  await oneOf(signatures);
  return message.getText();
}

/** Whether one of the keys signed exactly these bytes. @throws AppError that says what is wrong */
export async function verifyDetached(bytes: Uint8Array, signature: Uint8Array, armoredKeys: string): Promise<void> {
  const keys = await keysIn(armoredKeys);
  const text = Buffer.from(signature).toString("latin1");
  const parsed = await understood("the signature", () =>
    text.includes("-----BEGIN PGP SIGNATURE")
      ? openpgp.readSignature({ armoredSignature: text })
      : openpgp.readSignature({ binarySignature: signature }),
  );
  const message = await openpgp.createMessage({ binary: bytes });
  const { signatures } = await openpgp.verify({ message, signature: parsed, verificationKeys: keys, date: null });
  await oneOf(signatures);
}

async function keysIn(armored: string): Promise<openpgp.PublicKey[]> {
  const keys = await understood("the key", () => openpgp.readKeys({ armoredKeys: armored }));
  if (keys.length === 0) throw new AppError("unprocessable", "the key holds no OpenPGP public key");
  return keys.map((key) => key.toPublic());
}

async function understood<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new AppError(
      "unprocessable",
      `${what} is no OpenPGP: ${error instanceof Error ? error.message : "unreadable"}`,
    );
  }
}

type Signatures = Awaited<ReturnType<typeof openpgp.verify>>["signatures"];

/** A file may be signed by several; one of those we trust is enough. */
async function oneOf(signatures: Signatures): Promise<void> {
  const wrong: string[] = [];
  for (const { verified, keyID } of signatures) {
    try {
      if (await verified) return;
    } catch (error) {
      wrong.push(`${keyID.toHex().toUpperCase()}: ${error instanceof Error ? error.message : "wrong"}`);
    }
  }
  throw new AppError("unprocessable", `no good signature by the key given (${wrong.join("; ") || "it is not signed"})`);
}

/** The text of a cleartext-signed message, whoever signed it. */
export async function cleartextOf(signed: string): Promise<string> {
  const message = await understood("the signed file", () => openpgp.readCleartextMessage({ cleartextMessage: signed }));
  return message.getText();
}
