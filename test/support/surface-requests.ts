import { createHash } from "node:crypto";
import { request as send } from "node:http";
import { gunzipSync } from "node:zlib";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import type { Answer, TestPackhouse } from "./packhouse.ts";

export const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** Asks for an upload at `/packages/PATH`. */
export async function ask(packhouse: TestPackhouse, path: string, terms: object = {}): Promise<Answer> {
  const at = path.lastIndexOf("/");
  return packhouse.call("POST", `/packages/${path.slice(0, at)}/`, { name: path.slice(at + 1), ...terms });
}

export const announced = (bytes: Uint8Array) => ({ sha256: sha256(bytes), size: bytes.length });

type Upload = { method: string; url: string; headers: Record<string, string> };

/** Sends bytes as an answered POST says. A wrong length is left to the server to refuse. */
export async function put(upload: Upload, bytes: Uint8Array): Promise<{ status: number; text: string }> {
  const headers = Object.fromEntries(Object.entries(upload.headers).filter(([name]) => name !== "content-length"));
  const answer = await fetch(upload.url, { method: upload.method, headers, body: Buffer.from(bytes) });
  return { status: answer.status, text: await answer.text() };
}

export async function ended(packhouse: TestPackhouse, job: string) {
  return (await packhouse.call("GET", `${job}?wait=25`)).body;
}

/** The keys of the objects that the store holds under a prefix. */
export async function objectsUnder({ url, folder }: TestPackhouse, prefix: string): Promise<string[]> {
  const { region, ...credentials } = folder.aws;
  const s3 = new S3Client({ region, credentials, endpoint: `${url}/_s3`, forcePathStyle: true });
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: "packhouse", Prefix: prefix, ...(after ? { ContinuationToken: after } : {}) }),
    );
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
    after = page.NextContinuationToken;
  } while (after);
  return keys;
}

export const blobKey = (bytes: Uint8Array | string) => `blobs/${sha256(bytes).slice(0, 2)}/${sha256(bytes)}`;

/** A request whose path goes over the wire as it is written here, which fetch would tidy up. */
export async function raw(
  { url }: TestPackhouse,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string | Uint8Array } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const request = send({ hostname, port, method, path, headers: { ...length, ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = String(response.headers["content-type"] ?? "").includes("json");
        resolve({
          status: response.statusCode ?? 0,
          headers: new Headers(response.headers as Record<string, string>),
          body: isJson && text !== "" ? JSON.parse(text) : text,
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** What a client sees in an apt repo: each stanza's Package, Version and Filename. */
export async function aptPackages(packhouse: { url: string }, repo: string, place = "dists/stable/main/binary-amd64") {
  const answer = await fetch(`${packhouse.url}/apt/${repo}/${place}/Packages.gz`);
  if (answer.status !== 200) throw new Error(`Packages.gz of ${repo}: ${answer.status}`);
  const text = gunzipSync(Buffer.from(await answer.arrayBuffer())).toString("utf8");
  return text
    .split("\n\n")
    .filter((stanza) => stanza.trim() !== "")
    .map((stanza) => ({
      name: /^Package: (.*)$/m.exec(stanza)?.[1] ?? "",
      version: /^Version: (.*)$/m.exec(stanza)?.[1] ?? "",
      filename: /^Filename: (.*)$/m.exec(stanza)?.[1] ?? "",
      sha256: /^SHA256: (.*)$/m.exec(stanza)?.[1] ?? "",
    }));
}
