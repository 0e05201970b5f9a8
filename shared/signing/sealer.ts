import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { z } from "zod";
import { AppError } from "../error.ts";

/** What is stored in place of a secret: base64 throughout. `dataKey` is the data key as KMS encrypted it. */
export type Sealed = z.infer<typeof Sealed>;
export const Sealed = z.object({
  by: z.enum(["local", "kms"]),
  dataKey: z.base64().optional(),
  nonce: z.base64(),
  ciphertext: z.base64(),
  tag: z.base64(),
});

/**
 * Keeps secrets (signing keys) unreadable at rest. The context says whose secret it is (a repo's id): what is sealed for one
 * cannot be unsealed as another's, so a row copied over another row gives an error, not another repo's key.
 */
export type Sealer = {
  seal(plain: Uint8Array, context: string): Promise<Sealed>;
  /** An AppError where the seal was tampered with, is another context's, or was made by another key. */
  unseal(sealed: Sealed, context: string): Promise<Uint8Array>;
};

/** Under one key of 32 bytes that the caller keeps (locally a key file of mode 0600). */
export function localSealer(key: Uint8Array): Sealer {
  if (key.length !== 32) throw new AppError("invalid", `the sealing key has ${key.length} bytes: expected 32`);
  return {
    seal: async (plain, context) => ({ by: "local", ...encrypted(key, plain, context) }),
    unseal: async (sealed, context) => {
      if (sealed.by !== "local") throw foreignSealer(sealed, "the local key file");
      return decrypted(key, sealed, context);
    },
  };
}

export type Encrypted = Pick<Sealed, "nonce" | "ciphertext" | "tag">;

/** AES-256-GCM, NIST SP 800-38D: a random nonce of 96 bits, the context as additional data. */
export function encrypted(key: Uint8Array, plain: Uint8Array, context: string): Encrypted {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return {
    nonce: nonce.toString("base64"),
    ciphertext: ciphertext.toString("base64"),
    tag: cipher.getAuthTag().toString("base64"),
  };
}

export function decrypted(key: Uint8Array, sealed: Encrypted, context: string): Uint8Array {
  try {
    // A tag may be cut to 32 bits in GCM: the length is fixed, so a forger has all 128 to guess.
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(sealed.nonce, "base64"), { authTagLength: 16 })
      .setAAD(Buffer.from(context))
      .setAuthTag(Buffer.from(sealed.tag, "base64"));
    return Buffer.concat([decipher.update(Buffer.from(sealed.ciphertext, "base64")), decipher.final()]);
  } catch {
    throw brokenSeal(context);
  }
}

export function brokenSeal(context: string): AppError {
  return new AppError(
    "unprocessable",
    `the sealed secret of ${context} cannot be opened: it was changed, belongs to another, or was sealed with another key`,
    { context },
  );
}

export function foreignSealer(sealed: Sealed, expected: string): AppError {
  return new AppError("unprocessable", `a secret sealed by ${sealed.by} cannot be opened by ${expected}`, {
    by: sealed.by,
  });
}
