import { DecryptCommand, GenerateDataKeyCommand, type KMSClient } from "@aws-sdk/client-kms";
import { brokenSeal, decrypted, encrypted, foreignSealer, type Sealer } from "./sealer.ts";

/** KMS itself checks the context and writes it to CloudTrail: the same name must be given to open a data key as to make it. */
const CONTEXT = "packhouse:secret-of";

/** What KMS answers when the data key was changed, is another context's, or another KMS key's. All else is a fault. */
const REFUSALS = ["InvalidCiphertextException", "IncorrectKeyException"];

/** Each secret under a data key of its own, which only the KMS key `keyId` can open. */
export function kmsSealer(client: KMSClient, keyId: string): Sealer {
  return {
    seal: async (plain, context) => {
      const made = await client.send(
        new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256", EncryptionContext: { [CONTEXT]: context } }),
      );
      if (!made.Plaintext || !made.CiphertextBlob) throw new Error("KMS answered GenerateDataKey without a key");
      const dataKey = Buffer.from(made.CiphertextBlob).toString("base64");
      const sealed = encrypted(made.Plaintext, plain, context);
      made.Plaintext.fill(0);
      return { by: "kms", dataKey, ...sealed };
    },
    unseal: async (sealed, context) => {
      if (sealed.by !== "kms" || !sealed.dataKey) throw foreignSealer(sealed, "a KMS key");
      const opened = await opening(client, keyId, sealed.dataKey, context);
      const plain = decrypted(opened, sealed, context);
      opened.fill(0);
      return plain;
    },
  };
}

async function opening(client: KMSClient, keyId: string, dataKey: string, context: string): Promise<Uint8Array> {
  try {
    const answer = await client.send(
      new DecryptCommand({
        KeyId: keyId,
        CiphertextBlob: Buffer.from(dataKey, "base64"),
        EncryptionContext: { [CONTEXT]: context },
      }),
    );
    if (!answer.Plaintext) throw new Error("KMS answered Decrypt without a key");
    return answer.Plaintext;
  } catch (error) {
    if (error instanceof Error && REFUSALS.includes(error.name)) throw brokenSeal(context);
    throw error;
  }
}
