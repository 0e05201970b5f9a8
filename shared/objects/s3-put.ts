import { createHash, createHmac, createSecretKey, type Hmac, type KeyObject } from "node:crypto";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { SignatureV4 } from "@smithy/signature-v4";
import { base64Of, type Sha256 } from "../blob.ts";
import { cacheControlOf, type ObjectKey, pathOf } from "./keys.ts";

type BlobKey = Extract<ObjectKey, { kind: "blob" }>;

/**
 * A PUT of bytes in memory without the SDK's way through its middleware, which takes ten times as long as all else about a small
 * object: signed by the SDK's own signer, sent by the client's own handler, to where the SDK says that the bucket is. True when the
 * object is there, as it was or by this. What may go wrong (a slow-down, a clock that is off, a redirect, a connection that ends) the
 * SDK knows best, and nothing of it is told apart here: false says that it is to be asked.
 */
export function plainPutsOf(
  client: S3Client,
  bucket: string,
): (key: BlobKey, bytes: Uint8Array, sha256: Sha256) => Promise<boolean> {
  let door: Promise<Door> | undefined;
  return async (key, bytes, sha256) => {
    try {
      door ??= doorOf(client, bucket);
      const { address, signer } = await door;
      const request = {
        method: "PUT",
        protocol: address.protocol,
        hostname: address.hostname,
        ...(address.port === "" ? {} : { port: Number(address.port) }),
        path: `${address.pathname}${pathOf(key)}`,
        query: {},
        headers: {
          host: address.host,
          "content-length": String(bytes.length),
          "content-type": "application/octet-stream",
          "cache-control": cacheControlOf(key),
          "if-none-match": "*",
          // Both are compared with what came; the first also makes the signature one of the bytes.
          "x-amz-content-sha256": sha256,
          "x-amz-checksum-sha256": base64Of(sha256),
        },
      };
      const signingDate = new Date(Date.now() + client.config.systemClockOffset);
      const signed = await signer.sign(request, { signingDate });
      const { response } = await client.config.requestHandler.handle({ ...signed, body: bytes });
      response.body?.resume?.();
      return response.statusCode === 200 || response.statusCode === 412;
    } catch {
      door = undefined;
      return false;
    }
  };
}

/** Where the bucket's keys begin, and who signs for it. */
type Door = { readonly address: URL; readonly signer: SignatureV4 };

const ANY_KEY = "x";

async function doorOf(client: S3Client, bucket: string): Promise<Door> {
  const address = new URL(await getSignedUrl(client, new PutObjectCommand({ Bucket: bucket, Key: ANY_KEY })));
  address.search = "";
  address.pathname = address.pathname.slice(0, -ANY_KEY.length);
  const signer = new SignatureV4({
    service: "s3",
    region: client.config.region,
    credentials: client.config.credentials,
    sha256: NodeSha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
  return { address, signer };
}

/** Node's SHA-256 in the shape that the signer asks for. */
class NodeSha256 {
  readonly #hash: Hmac | ReturnType<typeof createHash>;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", keyOf(secret));
  }
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error("a digest is made once");
  }
}

/** The signer keeps its key of the day; to take one as bytes costs Node more than the HMAC of a request. */
const keysOf = new WeakMap<object, KeyObject>();

function keyOf(secret: string | ArrayBuffer | ArrayBufferView): string | KeyObject {
  if (typeof secret === "string") return secret;
  const known = keysOf.get(secret);
  if (known) return known;
  const bytes = ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret);
  const made = createSecretKey(bytes);
  keysOf.set(secret, made);
  return made;
}
