import { createHash } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { expect, test } from "vitest";
import { type SigV4Options, verifySigV4 } from "../../infra/local/sigv4.ts";

/** The verifier as endpoints use it that hold the whole body of a request. */
const credentials = { accessKeyId: "AKIA", secretAccessKey: "secret" };
const now = new Date("2026-11-20T12:00:00Z");
const options: SigV4Options = { service: "sqs", region: "eu-central-1", credentials, now };
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function signed(
  body: string,
  { applyChecksum, path = "/_sqs/a//b/../c d" }: { applyChecksum: boolean; path?: string },
) {
  const signer = new SignatureV4({
    service: "sqs",
    region: options.region,
    credentials,
    sha256: Sha256,
    applyChecksum,
  });
  const request = {
    method: "POST",
    protocol: "http:",
    hostname: "127.0.0.1",
    path,
    query: {},
    headers: { host: "127.0.0.1:1", "x-amz-target": "T" },
    body,
  };
  const { headers } = await signer.sign(request, { signingDate: now });
  return { method: "POST", url: path, headers, bodySha256: sha256(body) };
}

test.each([true, false])("a body is part of what is verified (its hash in a header: %s)", async (applyChecksum) => {
  const request = await signed("{}", { applyChecksum });
  expect("x-amz-content-sha256" in request.headers).toBe(applyChecksum);
  expect(await verifySigV4(request, options)).toMatchObject({ ok: true, payloadHash: sha256("{}") });
  const other = await verifySigV4({ ...request, bodySha256: sha256("{ }") }, options);
  expect(other).toMatchObject({
    ok: false,
    code: applyChecksum ? "XAmzContentSHA256Mismatch" : "SignatureDoesNotMatch",
  });
});

test("what is signed for one service, region, host or target is good for no other", async () => {
  const request = await signed("{}", { applyChecksum: false });
  const code = async (change: Partial<typeof request>, more: Partial<SigV4Options> = {}) => {
    const verdict = await verifySigV4({ ...request, ...change }, { ...options, ...more });
    return verdict.ok ? "ok" : verdict.code;
  };
  expect(await code({})).toBe("ok");
  expect(await code({}, { service: "dynamodb" })).toBe("AuthorizationHeaderMalformed");
  expect(await code({}, { region: "us-east-1" })).toBe("AuthorizationHeaderMalformed");
  expect(await code({}, { now: new Date(now.getTime() + 16 * 60_000) })).toBe("RequestTimeTooSkewed");
  expect(await code({ url: "/other" })).toBe("SignatureDoesNotMatch");
  expect(await code({ headers: { ...request.headers, host: "proxy" } })).toBe("SignatureDoesNotMatch");
  expect(await code({ headers: { ...request.headers, host: "proxy" } }, { hosts: ["127.0.0.1:1"] })).toBe("ok");
  expect(await code({ headers: { ...request.headers, "x-amz-target": "Other" } })).toBe("SignatureDoesNotMatch");
  expect(await code({ headers: {} })).toBe("AccessDenied");
});

test("a key that was derived for one secret is not another's, of the same name", async () => {
  const request = await signed("{}", { applyChecksum: false });
  expect(await verifySigV4(request, options)).toMatchObject({ ok: true });
  const other = { ...options, credentials: { ...credentials, secretAccessKey: "other" } };
  expect(await verifySigV4(request, other)).toMatchObject({ ok: false, code: "SignatureDoesNotMatch" });
  expect(await verifySigV4(request, options)).toMatchObject({ ok: true });
});
