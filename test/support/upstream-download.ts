import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Download, download, downloadWhole } from "../../shared/upstream/fetch-download.ts";
import { openFetcher, openUpstream } from "./upstream-site.ts";

export const FILE = randomBytes(300_000);
export const OTHER = randomBytes(300_000);
export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
export const CHECKSUM = { algorithm: "sha256", value: sha256(FILE) } as const;
export const OLD = "Mon, 01 Jun 2026 10:00:00 GMT";

type File = { bytes: Buffer; headers: Record<string, string> };
export const file = (bytes: Buffer, headers: Record<string, string> = {}): File => ({ bytes, headers });

/** Serves a file as RFC 9110 says, breaking off after `cut` bytes of this answer. */
function serve(
  { bytes, headers }: File,
  request: IncomingMessage,
  response: ServerResponse,
  cut = Number.POSITIVE_INFINITY,
) {
  const validators = [headers.ETag, headers["Last-Modified"]];
  const fits = !request.headers["if-range"] || validators.includes(String(request.headers["if-range"]));
  const start = fits ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN) : Number.NaN;
  const body = Number.isNaN(start) ? bytes : bytes.subarray(start);
  const range = Number.isNaN(start) ? {} : { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(Number.isNaN(start) ? 200 : 206, { ...headers, ...range, "Content-Length": body.length });
  if (cut >= body.length) response.end(body);
  else response.write(body.subarray(0, cut), () => response.destroy());
}

export type Step = (request: IncomingMessage, response: ServerResponse) => void;

/** Downloads from a server that answers with these, one a request; piece by piece or at once. */
export async function run(steps: readonly Step[], want: Partial<Download> = {}, atOnce = false) {
  const left = [...steps];
  const site = await openUpstream((request, response) => {
    const step = left.shift();
    if (step) step(request, response);
    else response.writeHead(418).end();
  });
  const pauses: number[] = [];
  const fetcher = openFetcher({
    maxPerHost: 1,
    idleTimeoutMs: 500,
    sleep: async (ms) => {
      pauses.push(ms);
    },
  });
  const chunks: Uint8Array[] = [];
  const whole = async () => {
    const options = { maxBytes: 1e9, random: () => 1, ...want };
    if (atOnce) chunks.push(await downloadWhole(fetcher, `${site.origin}/f.deb`, options));
    else for await (const chunk of download(fetcher, `${site.origin}/f.deb`, options)) chunks.push(chunk);
  };
  const error = await whole().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const asked = site.requests.map(({ headers }) => [headers.range, headers["if-range"]]);
  return { error, bytes: Buffer.concat(chunks), asked, pauses, origin: site.origin };
}

export const cutAt =
  (of: File, cut: number): Step =>
  (request, response) =>
    serve(of, request, response, cut);
export const whole =
  (of: File): Step =>
  (request, response) =>
    serve(of, request, response);
export const ignoringRanges =
  (of: File): Step =>
  (request, response) => {
    delete request.headers.range;
    serve(of, request, response);
  };
export const ignoringIfRange =
  (of: File): Step =>
  (request, response) => {
    delete request.headers["if-range"];
    serve(of, request, response);
  };
export const status =
  (code: number, headers: Record<string, string> = {}): Step =>
  (_, response) =>
    void response.writeHead(code, headers).end();
