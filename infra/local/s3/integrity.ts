import { ALGORITHMS, type Algorithm, algorithmNamed, type Digests, digestFromBase64, headerOf } from "./checksums.ts";
import { type S3Code, S3Error } from "./errors.ts";

/** What the client says the bytes are; all of it is verified before anything points to them. */
export type Claims = {
  /** Hex. */
  sha256: string | undefined;
  md5: Buffer | undefined;
  checksum: { algorithm: Algorithm; digest: Buffer } | undefined;
  /** The checksum comes behind the bytes. */
  trailer: Algorithm | undefined;
};

/** @throws S3Error for claims that are malformed or contradict each other. */
export function claimsOf(headers: Readonly<Record<string, string>>, payloadHash: string): Claims {
  const md5 = headers["content-md5"];
  const claims: Claims = {
    sha256: /^[0-9a-f]{64}$/i.test(payloadHash) ? payloadHash.toLowerCase() : undefined,
    md5: md5 === undefined ? undefined : digestFromBase64("MD5", md5),
    checksum: checksumClaim(headers),
    trailer: trailerClaim(headers["x-amz-trailer"]),
  };
  if (md5 !== undefined && !claims.md5)
    throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.", { "Content-MD5": md5 });
  const declared = headers["x-amz-sdk-checksum-algorithm"];
  if (claims.checksum && claims.trailer) throw manyChecksums();
  if (declared === undefined) return claims;
  const algorithm = algorithmNamed(declared);
  if (!algorithm) throw unknownAlgorithm();
  const given = claims.checksum?.algorithm ?? claims.trailer;
  if (given === undefined)
    throw new S3Error(
      "InvalidRequest",
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  if (given !== algorithm)
    throw new S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.");
  return claims;
}

/** Headers of this shape are no checksums. */
const OTHER = new Set(["x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type"]);

export function checksumClaim(headers: Readonly<Record<string, string>>): Claims["checksum"] {
  const names = Object.keys(headers).filter((name) => name.startsWith("x-amz-checksum-") && !OTHER.has(name));
  if (names.length > 1) throw manyChecksums();
  const [name] = names;
  if (name === undefined) return undefined;
  const algorithm = ALGORITHMS.find((known) => headerOf(known) === name);
  if (!algorithm) throw unknownAlgorithm();
  return { algorithm, digest: claimedDigest(algorithm, headers[name] ?? "") };
}

function trailerClaim(trailer: string | undefined): Algorithm | undefined {
  if (trailer === undefined) return undefined;
  const algorithm = ALGORITHMS.find((known) => headerOf(known) === trailer.trim().toLowerCase());
  if (!algorithm)
    throw new S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported");
  return algorithm;
}

function claimedDigest(algorithm: Algorithm, text: string): Buffer {
  const digest = digestFromBase64(algorithm, text);
  if (!digest) throw new S3Error("InvalidRequest", `Value for ${headerOf(algorithm)} header is invalid.`);
  return digest;
}

/** Which digests have to be computed while the bytes pass, so that `verify` can tell. */
export function algorithmsOf(claims: Claims): Algorithm[] {
  const wanted = [claims.checksum?.algorithm, claims.trailer, claims.md5 && "MD5", claims.sha256 && "SHA256"] as const;
  return wanted.filter((algorithm): algorithm is Algorithm => algorithm !== undefined && algorithm !== "");
}

/** @returns the checksum that the client gave, if it gave one. @throws S3Error when the bytes are other ones. */
export function verifyClaims(
  claims: Claims,
  digests: Digests,
  trailers: ReadonlyMap<string, string>,
): Algorithm | undefined {
  const sha256 = digests.get("SHA256")?.toString("hex");
  if (claims.sha256 && claims.sha256 !== sha256)
    throw mismatch(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
      {
        ClientComputedContentSHA256: claims.sha256,
        S3ComputedContentSHA256: sha256 ?? "",
      },
    );
  const md5 = digests.get("MD5");
  if (claims.md5 && !(md5 && claims.md5.equals(md5)))
    throw mismatch("BadDigest", "The Content-MD5 you specified did not match what we received.", {
      ExpectedDigest: claims.md5.toString("base64"),
      CalculatedDigest: md5?.toString("base64") ?? "",
    });
  const checksum = claims.checksum ?? (claims.trailer && fromTrailer(claims.trailer, trailers));
  if (!checksum) return undefined;
  if (!digests.get(checksum.algorithm)?.equals(checksum.digest))
    throw mismatch("BadDigest", `The ${checksum.algorithm} you specified did not match the calculated checksum.`);
  return checksum.algorithm;
}

function fromTrailer(algorithm: Algorithm, trailers: ReadonlyMap<string, string>): Claims["checksum"] {
  const text = trailers.get(headerOf(algorithm));
  if (text === undefined || trailers.size !== 1)
    throw new S3Error(
      "MalformedTrailerError",
      "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    );
  return { algorithm, digest: claimedDigest(algorithm, text) };
}

function mismatch(code: S3Code, message: string, details: Record<string, string> = {}): S3Error {
  return new S3Error(code, message, details);
}

function manyChecksums(): S3Error {
  return new S3Error(
    "InvalidRequest",
    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
  );
}

export function unknownAlgorithm(): S3Error {
  return new S3Error(
    "InvalidRequest",
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${ALGORITHMS.join(", ")}]`,
  );
}
