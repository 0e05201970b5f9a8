import {
  DecryptCommand,
  GenerateDataKeyCommand,
  IncorrectKeyException,
  InvalidCiphertextException,
  KMSClient,
  KMSInternalException,
} from "@aws-sdk/client-kms";
import { mockClient } from "aws-sdk-client-mock";
import { describe, expect, test } from "vitest";
import { AppError } from "../../shared/error.ts";
import { kmsSealer } from "../../shared/signing/kms.ts";
import { localSealer, type Sealed, type Sealer } from "../../shared/signing/sealer.ts";

const secret = Buffer.from("-----BEGIN PGP PRIVATE KEY BLOCK-----");

/** KMS as far as a sealer sees it: a data key opens only with the context it was made with. */
function kmsThatKeepsContexts(): KMSClient {
  const client = new KMSClient({ region: "eu-central-1", credentials: { accessKeyId: "a", secretAccessKey: "s" } });
  const dataKeys = new Map<string, { plain: Uint8Array; context: string }>();
  const mocked = mockClient(client);
  mocked.on(GenerateDataKeyCommand).callsFake((input) => {
    const blob = Buffer.from(`data key ${dataKeys.size}`);
    const plain = new Uint8Array(32).fill(dataKeys.size + 1);
    dataKeys.set(blob.toString("base64"), { plain, context: JSON.stringify(input.EncryptionContext) });
    return { CiphertextBlob: blob, Plaintext: plain.slice() };
  });
  mocked.on(DecryptCommand).callsFake((input) => {
    const made = dataKeys.get(Buffer.from(input.CiphertextBlob).toString("base64"));
    if (made?.context !== JSON.stringify(input.EncryptionContext))
      throw new InvalidCiphertextException({ message: "", $metadata: {} });
    return { Plaintext: made.plain.slice() };
  });
  return client;
}

const sealers: [string, () => Sealer][] = [
  ["the local sealer", () => localSealer(new Uint8Array(32).fill(7))],
  ["the KMS sealer", () => kmsSealer(kmsThatKeepsContexts(), "alias/packhouse")],
];

describe.each(sealers)("%s", (_, make) => {
  test("opens what it sealed for the same context, after a trip through JSON", async () => {
    const sealer = make();
    const stored: Sealed = JSON.parse(JSON.stringify(await sealer.seal(secret, "repos/tools")));
    expect(JSON.stringify(stored)).not.toContain("PGP");
    expect(Buffer.from(await sealer.unseal(stored, "repos/tools"))).toEqual(secret);
  });

  test("refuses another context's secret and names the context asked for", async () => {
    const sealer = make();
    const sealed = await sealer.seal(secret, "repos/tools");
    const refusal = sealer.unseal(sealed, "repos/games");
    await expect(refusal).rejects.toBeInstanceOf(AppError);
    await expect(refusal).rejects.toThrow(/repos\/games cannot be opened/);
  });

  test.each(["nonce", "ciphertext", "tag"] as const)("refuses a changed %s", async (part) => {
    const sealer = make();
    const sealed = await sealer.seal(secret, "repos/tools");
    const bytes = Buffer.from(sealed[part], "base64");
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    const changed = { ...sealed, [part]: bytes.toString("base64") };
    await expect(sealer.unseal(changed, "repos/tools")).rejects.toBeInstanceOf(AppError);
  });

  test("refuses a tag cut short", async () => {
    const sealer = make();
    const sealed = await sealer.seal(secret, "repos/tools");
    const tag = Buffer.from(sealed.tag, "base64").subarray(0, 4).toString("base64");
    await expect(sealer.unseal({ ...sealed, tag }, "repos/tools")).rejects.toBeInstanceOf(AppError);
  });

  test("never seals the same secret twice alike", async () => {
    const sealer = make();
    const [one, two] = await Promise.all([sealer.seal(secret, "r"), sealer.seal(secret, "r")]);
    expect(one.nonce).not.toBe(two.nonce);
    expect(one.ciphertext).not.toBe(two.ciphertext);
  });
});

test("a local key of another length is refused", () => {
  expect(() => localSealer(new Uint8Array(16))).toThrow(/16 bytes: expected 32/);
});

test("a secret sealed by KMS is refused by the local sealer with the reason", async () => {
  const sealed = await kmsSealer(kmsThatKeepsContexts(), "k").seal(secret, "repos/tools");
  await expect(localSealer(new Uint8Array(32)).unseal(sealed, "repos/tools")).rejects.toThrow(/sealed by kms/);
});

test("the KMS data key replaced by another one is refused", async () => {
  const sealer = kmsSealer(kmsThatKeepsContexts(), "k");
  const [one, two] = [await sealer.seal(secret, "repos/tools"), await sealer.seal(secret, "repos/tools")];
  const mixed: Sealed = { ...one, ...(two.dataKey && { dataKey: two.dataKey }) };
  await expect(sealer.unseal(mixed, "repos/tools")).rejects.toBeInstanceOf(AppError);
});

test("another KMS key is permanent, a failing KMS is a fault to be tried again", async () => {
  const sealed: Sealed = { by: "kms", dataKey: "AAAA", nonce: "AAAA", ciphertext: "AAAA", tag: "AAAA" };
  const client = new KMSClient({ region: "eu-central-1" });
  const mocked = mockClient(client);
  mocked.on(DecryptCommand).rejectsOnce(new IncorrectKeyException({ message: "", $metadata: {} }));
  await expect(kmsSealer(client, "k").unseal(sealed, "r")).rejects.toBeInstanceOf(AppError);
  mocked.on(DecryptCommand).rejects(new KMSInternalException({ message: "slow down", $metadata: {} }));
  await expect(kmsSealer(client, "k").unseal(sealed, "r")).rejects.not.toBeInstanceOf(AppError);
});
