import { createHash, createHmac, createSecretKey, type Hmac, type KeyObject } from "node:crypto";
import { createScope, getCanonicalHeaders, getSigningKey, SignatureV4 } from "@smithy/signature-v4";
import {
  ALGORITHM,
  type Claim,
  checkScope,
  checkTime,
  claimOfHeader,
  claimOfQuery,
  type Expected,
  Refused,
  type SigV4Credentials,
  type SigV4Refusal,
  sameText,
} from "./sigv4-claim.ts";
import { parseUrl, type RawUrl } from "./sigv4-url.ts";

/** Header names in lower case; a header that came twice has its values joined by a comma. */
export type SigV4Request = {
  method: string;
  /** Path and query as they came. */
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the body, where the caller holds the whole body; then the body is part of what is verified. */
  bodySha256?: string;
};

export { type SigV4Code, type SigV4Credentials, type SigV4Refusal, sameText } from "./sigv4-claim.ts";

export type SigV4Options = Expected & {
  now?: Date;
  /** Further names (`host` or `host:port`) under which clients may have signed: a proxy changes the Host header. */
  hosts?: readonly string[];
};

export type SigV4Valid = {
  ok: true;
  /** A hex SHA-256 that the body must have, `UNSIGNED-PAYLOAD` or a `STREAMING-…` mode. */
  payloadHash: string;
  signedHeaders: ReadonlySet<string>;
  chunks: ChunkSigner;
};
export type SigV4Verdict = SigV4Valid | SigV4Refusal;

/** Signs the chunks of a `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` body, each over the signature before it. */
export type ChunkSigner = {
  seed: string;
  chunk(previous: string, sha256: string): string;
  trailer(previous: string, sha256: string): string;
};

const EMPTY_SHA256 = createHash("sha256").digest("hex");

/** Node's SHA-256 in the shape that Smithy asks for. */
class NodeSha256 {
  readonly #secret: Uint8Array | string | undefined;
  #hash: Hmac | ReturnType<typeof createHash>;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined || typeof secret === "string" ? secret : bytesOf(secret);
    this.#hash = this.#fresh();
  }
  #fresh() {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", this.#secret);
  }
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {
    this.#hash = this.#fresh();
  }
}

function bytesOf(source: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}

type HttpRequest = Parameters<SignatureV4["presign"]>[0];

/** Smithy's signer, asked what the signature of exactly these signed headers would be. */
class Verifier extends SignatureV4 {
  async stringToSign(request: HttpRequest, signed: ReadonlySet<string>, payloadHash: string, claim: Claim) {
    const all = new Set(signed);
    const canonicalRequest = this.createCanonicalRequest(
      request,
      getCanonicalHeaders(request, undefined, all),
      payloadHash,
    );
    const scope = createScope(claim.scope.date, claim.scope.region, claim.scope.service);
    return { canonicalRequest, text: await this.createStringToSign(claim.time, scope, canonicalRequest, ALGORITHM) };
  }
}

/** Verifies an AWS Signature Version 4 in the Authorization header or in the query. Never throws for what a client sent. */
export async function verifySigV4(request: SigV4Request, options: SigV4Options): Promise<SigV4Verdict> {
  try {
    const url = parseUrl(request.url);
    if (!url) throw new Refused("InvalidURI", "Couldn't parse the specified URI.");
    return await verify(request, url, options);
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

async function verify(request: SigV4Request, url: RawUrl, options: SigV4Options): Promise<SigV4Verdict> {
  const now = options.now ?? new Date();
  const presigned = url.query["X-Amz-Signature"] !== undefined || url.query["X-Amz-Algorithm"] !== undefined;
  const header = request.headers.authorization;
  if (presigned && header !== undefined)
    throw new Refused(
      "InvalidArgument",
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
    );
  if (!presigned && header === undefined) throw new Refused("AccessDenied", "Access Denied");
  const claim = presigned ? claimOfQuery(url) : claimOfHeader(header ?? "", request.headers);
  checkTime(claim, now);
  checkScope(claim, options, presigned);
  checkSignedHeaders(claim, request.headers);
  const payloadHash = payloadHashOf(request, url, presigned, options.service);
  return await compareSignatures(request, url, claim, payloadHash, options);
}

async function compareSignatures(
  request: SigV4Request,
  url: RawUrl,
  claim: Claim,
  payloadHash: string,
  { service, region, credentials, hosts = [] }: SigV4Options,
): Promise<SigV4Verdict> {
  const signer = new Verifier({ service, region, credentials, sha256: NodeSha256, uriEscapePath: service !== "s3" });
  const key = await signingKey(credentials, claim.scope.date, region, service);
  const signedHeaders = new Set(claim.signedHeaders);
  const headers: Record<string, string> = {};
  for (const name of signedHeaders) headers[name] = request.headers[name] ?? "";
  let refusal: Refused | undefined;
  for (const host of new Set([request.headers.host ?? "", ...hosts])) {
    const canonical = {
      method: request.method,
      protocol: "http:",
      hostname: "",
      path: service === "s3" ? url.canonicalPath : url.path,
      query: url.query,
      headers: { ...headers, host },
    };
    const { canonicalRequest, text } = await signer.stringToSign(canonical, signedHeaders, payloadHash, claim);
    const expected = createHmac("sha256", key).update(text).digest("hex");
    if (sameText(expected, claim.signature)) {
      return { ok: true, payloadHash, signedHeaders, chunks: chunkSigner(claim, key) };
    }
    refusal ??= new Refused(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
      { AWSAccessKeyId: claim.accessKeyId, StringToSign: text, CanonicalRequest: canonicalRequest },
    );
  }
  throw refusal ?? new Refused("AccessDenied", "Access Denied");
}

const KEYS_AT_MOST = 16;
const keysOf = new WeakMap<SigV4Credentials, Map<string, KeyObject>>();

/** Four HMACs away from the secret, and the same all day long: kept as long as who holds the credentials. */
async function signingKey(
  credentials: SigV4Credentials,
  date: string,
  region: string,
  service: string,
): Promise<KeyObject> {
  const keys = keysOf.get(credentials) ?? new Map<string, KeyObject>();
  keysOf.set(credentials, keys);
  const scope = `${date}/${region}/${service}`;
  const known = keys.get(scope);
  if (known) return known;
  const made = createSecretKey(await getSigningKey(NodeSha256, credentials, date, region, service));
  if (keys.size >= KEYS_AT_MOST) keys.clear();
  keys.set(scope, made);
  return made;
}

function chunkSigner({ time, scope, signature }: Claim, key: KeyObject): ChunkSigner {
  const where = createScope(scope.date, scope.region, scope.service);
  const sign = (...lines: string[]) => createHmac("sha256", key).update(lines.join("\n")).digest("hex");
  return {
    seed: signature,
    chunk: (previous, sha256) => sign(`${ALGORITHM}-PAYLOAD`, time, where, previous, EMPTY_SHA256, sha256),
    trailer: (previous, sha256) => sign(`${ALGORITHM}-TRAILER`, time, where, previous, sha256),
  };
}

/** Host and every `x-amz-*` header that was sent must be signed, or whoever carries the request could add meaning to it. */
function checkSignedHeaders(claim: Claim, headers: Readonly<Record<string, string>>): void {
  const signed = new Set(claim.signedHeaders);
  const missing = Object.keys(headers).filter(
    (name) => (name.startsWith("x-amz-") || name === "host") && !signed.has(name),
  );
  if (!signed.has("host") && !missing.includes("host")) missing.push("host");
  if (missing.length > 0)
    throw new Refused("AccessDenied", "There were headers present in the request which were not signed", {
      HeadersNotSigned: missing.sort().join(", "),
    });
}

function payloadHashOf(request: SigV4Request, url: RawUrl, presigned: boolean, service: string): string {
  const said = request.headers["x-amz-content-sha256"] ?? (presigned ? url.query["X-Amz-Content-Sha256"] : undefined);
  if (said === undefined || Array.isArray(said)) {
    if (service === "s3" && !presigned)
      throw new Refused("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
    return presigned && service === "s3" ? "UNSIGNED-PAYLOAD" : (request.bodySha256 ?? EMPTY_SHA256);
  }
  const isHash = /^[0-9a-f]{64}$/i.test(said);
  if (isHash && request.bodySha256 !== undefined && !sameText(said.toLowerCase(), request.bodySha256))
    throw new Refused(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
      { ClientComputedContentSHA256: said, S3ComputedContentSHA256: request.bodySha256 },
    );
  return said;
}
