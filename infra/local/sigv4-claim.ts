import { timingSafeEqual } from "node:crypto";
import type { RawUrl } from "./sigv4-url.ts";

export type SigV4Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

export type SigV4Refusal = { ok: false; code: SigV4Code; message: string; details?: Readonly<Record<string, string>> };
export type SigV4Code =
  | "AccessDenied"
  | "AuthorizationHeaderMalformed"
  | "AuthorizationQueryParametersError"
  | "InvalidAccessKeyId"
  | "InvalidArgument"
  | "InvalidRequest"
  | "InvalidToken"
  | "InvalidURI"
  | "RequestTimeTooSkewed"
  | "SignatureDoesNotMatch"
  | "XAmzContentSHA256Mismatch";

export const ALGORITHM = "AWS4-HMAC-SHA256";
const MAX_SKEW_MS = 15 * 60_000;
const MAX_EXPIRES_SECONDS = 7 * 86_400;

/** What the request says about its own signature. */
export type Claim = {
  accessKeyId: string;
  scope: { date: string; region: string; service: string; terminator: string };
  time: string;
  expiresSeconds: number | undefined;
  signedHeaders: string[];
  signature: string;
  token: string | undefined;
};

export class Refused extends Error {
  readonly refusal: SigV4Refusal;
  constructor(code: SigV4Code, message: string, details?: Record<string, string>) {
    super(message);
    this.refusal = { ok: false, code, message, ...(details ? { details } : {}) };
  }
}

export function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

export function claimOfHeader(header: string, headers: Readonly<Record<string, string>>): Claim {
  const malformed = (why: string) =>
    new Refused("AuthorizationHeaderMalformed", `The authorization header is malformed; ${why}`);
  if (!header.startsWith(`${ALGORITHM} `))
    throw header.startsWith("AWS4-") || header.startsWith("AWS ")
      ? new Refused(
          "InvalidRequest",
          `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
        )
      : new Refused("InvalidArgument", "Unsupported Authorization Type");
  const parts: Record<string, string> = {};
  for (const part of header.slice(ALGORITHM.length + 1).split(",")) {
    const cut = part.indexOf("=");
    const name = part.slice(0, Math.max(cut, 0)).trimStart();
    const value = part.slice(cut + 1).trimEnd();
    if (!/^[A-Za-z]+$/.test(name) || value === "" || parts[name] !== undefined)
      throw malformed("the format is not Name=Value.");
    parts[name] = value;
  }
  const { Credential, SignedHeaders, Signature } = parts;
  if (!Credential || !SignedHeaders || !Signature)
    throw malformed("the authorization header requires three components: Credential, SignedHeaders, and Signature.");
  const time = headers["x-amz-date"] ?? basicTime(headers.date);
  if (!time || timeOf(time) === undefined)
    throw new Refused("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  return {
    ...credentialOf(Credential, (why) => malformed(why)),
    time,
    expiresSeconds: undefined,
    signedHeaders: SignedHeaders.split(";"),
    signature: Signature,
    token: headers["x-amz-security-token"],
  };
}

export function claimOfQuery({ query }: RawUrl): Claim {
  const wrong = (why: string) => new Refused("AuthorizationQueryParametersError", why);
  const one = (name: string): string => {
    const value = query[name];
    if (typeof value === "string" && value !== "") return value;
    throw wrong(
      "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    );
  };
  if (one("X-Amz-Algorithm") !== ALGORITHM) throw wrong(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const expires = one("X-Amz-Expires");
  if (!/^\d{1,9}$/.test(expires)) throw wrong("X-Amz-Expires should be a number");
  if (Number(expires) > MAX_EXPIRES_SECONDS)
    throw wrong(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    );
  if (timeOf(one("X-Amz-Date")) === undefined)
    throw wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  const token = query["X-Amz-Security-Token"];
  return {
    ...credentialOf(one("X-Amz-Credential"), wrong),
    time: one("X-Amz-Date"),
    expiresSeconds: Number(expires),
    signedHeaders: one("X-Amz-SignedHeaders").split(";"),
    signature: one("X-Amz-Signature"),
    token: token === undefined ? undefined : String(token),
  };
}

function credentialOf(text: string, wrong: (why: string) => Refused): Pick<Claim, "accessKeyId" | "scope"> {
  const parts = text.split("/");
  const [date, region, service, terminator] = parts.slice(-4);
  if (parts.length < 5 || !date || !region || !service || !terminator)
    throw wrong('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  return { accessKeyId: parts.slice(0, -4).join("/"), scope: { date, region, service, terminator } };
}

function timeOf(text: string): number | undefined {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const ms = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

function basicTime(date: string | undefined): string | undefined {
  const ms = Date.parse(date ?? "");
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, "");
}

export function checkTime(claim: Claim, now: Date): void {
  const at = timeOf(claim.time) ?? 0;
  if (claim.expiresSeconds === undefined) {
    if (Math.abs(now.getTime() - at) > MAX_SKEW_MS)
      throw new Refused(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        { RequestTime: claim.time, ServerTime: now.toISOString() },
      );
    return;
  }
  if (at - now.getTime() > MAX_SKEW_MS) throw new Refused("AccessDenied", "Request is not yet valid");
  if (now.getTime() > at + claim.expiresSeconds * 1_000)
    throw new Refused("AccessDenied", "Request has expired", {
      "X-Amz-Expires": String(claim.expiresSeconds),
      Expires: new Date(at + claim.expiresSeconds * 1_000).toISOString(),
      ServerTime: now.toISOString(),
    });
}

/** Whose signatures are good here. */
export type Expected = { service: string; region: string; credentials: SigV4Credentials };

export function checkScope(claim: Claim, { credentials, region, service }: Expected, presigned: boolean): void {
  if (!sameText(claim.accessKeyId, credentials.accessKeyId))
    throw new Refused("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
      AWSAccessKeyId: claim.accessKeyId,
    });
  if (claim.token !== undefined && !sameText(claim.token, credentials.sessionToken ?? ""))
    throw new Refused("InvalidToken", "The provided token is malformed or otherwise invalid.");
  const wrong = (why: string, details?: Record<string, string>) =>
    presigned
      ? new Refused(
          "AuthorizationQueryParametersError",
          `Error parsing the X-Amz-Credential parameter; ${why}`,
          details,
        )
      : new Refused("AuthorizationHeaderMalformed", `The authorization header is malformed; ${why}`, details);
  const { scope } = claim;
  if (scope.region !== region)
    throw wrong(`the region '${scope.region}' is wrong; expecting '${region}'`, { Region: region });
  if (scope.service !== service)
    throw wrong(`incorrect service "${scope.service}". This endpoint belongs to "${service}".`);
  if (scope.terminator !== "aws4_request")
    throw wrong(`incorrect terminal "${scope.terminator}". This endpoint uses "aws4_request".`);
  if (scope.date !== claim.time.slice(0, 8))
    throw wrong(
      `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${claim.time.slice(0, 8)}".`,
    );
}
