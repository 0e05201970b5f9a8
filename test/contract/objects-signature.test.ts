import { createHash } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../support/objects-answers.ts";
import { bucketName, errorOf, type ObjectsEndpoint, objectsEndpoint } from "../support/objects-endpoint.ts";

let endpoint: ObjectsEndpoint;
let s3: S3Client;
const Bucket = bucketName();
beforeAll(async () => {
  endpoint = await objectsEndpoint();
  s3 = endpoint.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "a+b c", Body: "hello" }));
});
afterAll(() => endpoint.close());
describe("a request signed in its header", () => {
  const emptySha = createHash("sha256").digest("hex");
  async function sign(
    change: {
      headers?: Record<string, string>;
      query?: Record<string, string>;
      path?: string;
      region?: string;
      service?: string;
      at?: Date;
      method?: string;
      body?: string;
    } = {},
  ) {
    const url = new URL(endpoint.url);
    const signer = new SignatureV4({
      service: change.service ?? "s3",
      region: change.region ?? endpoint.region,
      credentials: endpoint.credentials,
      sha256: Sha256,
      uriEscapePath: false,
    });
    const request = {
      method: change.method ?? "GET",
      protocol: url.protocol,
      hostname: url.hostname,
      port: Number(url.port) || undefined,
      path: `${url.pathname}/${Bucket}/${change.path ?? "a%2Bb%20c"}`,
      query: change.query ?? {},
      headers: {
        host: url.host,
        "x-amz-content-sha256":
          change.body === undefined ? emptySha : createHash("sha256").update(change.body).digest("hex"),
        ...change.headers,
      },
    };
    return (await signer.sign(request as Parameters<typeof signer.sign>[0] & typeof request, {
      signingDate: change.at ?? new Date(),
    })) as typeof request;
  }
  type Signed = Awaited<ReturnType<typeof sign>>;
  const send = async (request: Signed, body?: string) => {
    const { host: _, ...headers } = request.headers;
    const url = `${new URL(endpoint.url).origin}${request.path}?${new URLSearchParams(request.query)}`;
    return await fetch(url, { method: request.method, headers, ...(body === undefined ? {} : { body }) });
  };

  test("is served", async () => {
    const response = await send(await sign());
    expect([response.status, await response.text()]).toEqual([200, "hello"]);
  });

  test.each([
    [
      "its path",
      (r: Signed) => {
        r.path += "x";
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "its query",
      (r: Signed) => {
        r.query.partNumber = "1";
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "its method",
      (r: Signed) => {
        r.method = "DELETE";
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "its date",
      (r: Signed) => {
        r.headers["x-amz-date" as "host"] = r.headers["x-amz-date" as "host"]
          .replace(/..Z$/, "59Z")
          .replace("5959Z", "5958Z");
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "a signed header",
      (r: Signed) => {
        Object.assign(r.headers, { "x-signed": "2" });
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "the hash of its body",
      (r: Signed) => {
        r.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      },
      "403 SignatureDoesNotMatch",
    ],
    [
      "an x-amz- header",
      (r: Signed) => {
        Object.assign(r.headers, { "x-amz-meta-x": "1" });
      },
      "403 AccessDenied",
    ],
    [
      "its authorization",
      (r: Signed) => {
        Object.assign(r.headers, { authorization: "AWS4-HMAC-SHA256 nonsense" });
      },
      "400 AuthorizationHeaderMalformed",
    ],
    [
      "its algorithm",
      (r: Signed) => {
        Object.assign(r.headers, { authorization: "Bearer x" });
      },
      "400 InvalidArgument",
    ],
  ])("is refused when %s is changed", async (_, change, code) => {
    const request = await sign({ headers: { "x-signed": "1" } });
    change(request);
    expect(await codeOf(await send(request))).toBe(code);
  });

  test("is refused when it is a quarter of an hour old, or ahead", async () => {
    for (const minutes of [-16, 16])
      expect(await codeOf(await send(await sign({ at: new Date(Date.now() + minutes * 60_000) })))).toBe(
        "403 RequestTimeTooSkewed",
      );
    for (const minutes of [-14, 14])
      expect((await send(await sign({ at: new Date(Date.now() + minutes * 60_000) }))).status).toBe(200);
  });

  test("is refused for another region or service", async () => {
    expect(await codeOf(await send(await sign({ region: "mars-north-1" })))).toBe("400 AuthorizationHeaderMalformed");
    expect(await codeOf(await send(await sign({ service: "sqs" })))).toBe("400 AuthorizationHeaderMalformed");
  });

  test("is refused when its body is another one", async () => {
    const request = await sign({ method: "PUT", path: "swapped", body: "signed" });
    expect(await codeOf(await send(request, "sneaky"))).toBe("400 XAmzContentSHA256Mismatch");
    expect(await errorOf(s3.send(new HeadObjectCommand({ Bucket, Key: "swapped" })))).toMatchObject({ status: 404 });
    expect((await send(request, "signed")).status).toBe(200);
  });

  test("may have any query and path that a URL can carry", async () => {
    const query = { prefix: "ä b+c&d=e/%~*'()!", delimiter: "/", "list-type": "2" };
    const response = await send(await sign({ path: "", query }));
    expect(response.status).toBe(200);
    for (const path of ["../x", "a//b", "%C3%A4/%E6%BC%A2", "~'()*!", "/x"]) {
      const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: path }));
      expect(listed.KeyCount).toBe(0);
    }
  });

  test("signed twice is refused", async () => {
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a+b c" }));
    const response = await fetch(url, { headers: { authorization: "AWS4-HMAC-SHA256 Credential=x" } });
    expect(await codeOf(response)).toBe("400 InvalidArgument");
  });
});

test("unsigned is AccessDenied, whatever it is about", async () => {
  for (const path of ["", "/", `/${Bucket}`, `/${Bucket}/a%2Bb%20c`, "/no-such-bucket/x"])
    for (const method of ["GET", "PUT", "DELETE"])
      expect(await codeOf(await fetch(`${endpoint.url}${path}`, { method }))).toBe("403 AccessDenied");
});

test("an unknown key, a wrong secret and a token that nobody gave are told apart", async () => {
  const { accessKeyId, secretAccessKey } = endpoint.credentials;
  const list = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }) =>
    errorOf(endpoint.client({ credentials }).send(new ListBucketsCommand({})));
  expect(await list({ accessKeyId: "AKIAOTHER", secretAccessKey })).toEqual({
    code: "InvalidAccessKeyId",
    status: 403,
  });
  expect(await list({ accessKeyId, secretAccessKey: "wrong" })).toEqual({ code: "SignatureDoesNotMatch", status: 403 });
  expect(await list({ accessKeyId, secretAccessKey, sessionToken: "x" })).toEqual({
    code: "InvalidToken",
    status: 400,
  });
});
