import { setImmediate as nextTurn } from "node:timers/promises";
import type { AwsAnswer, AwsRequest } from "./aws-request.ts";

/** What the SDK's clients with a JSON protocol send, as far as it is read. */
type SdkRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
type SdkResponse = { statusCode: number; headers: Record<string, string>; body: Uint8Array };
type Handled = { readonly abortSignal?: unknown };

const NEVER = new AbortController().signal;

/**
 * A request handler for the SDK's clients of this process: their requests, signed as for any endpoint, are answered by the endpoint
 * itself. Sockets and HTTP, twice, would cost more than what most requests are about.
 */
export function inProcess(answer: (request: AwsRequest, gone: AbortSignal) => Promise<AwsAnswer>) {
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(
      { method, path, headers, body }: SdkRequest,
      { abortSignal }: Handled = {},
    ): Promise<{ response: SdkResponse }> {
      const gone = abortSignal instanceof AbortSignal ? abortSignal : NEVER;
      // As over a socket, others have their turn between any two requests; and those of one turn share a commit.
      await nextTurn();
      gone.throwIfAborted();
      const answered = await answer({ method, url: path, headers: inLowerCase(headers), body: bytesOf(body) }, gone);
      gone.throwIfAborted();
      return { response: { statusCode: answered.status, headers: answered.headers, body: answered.body } };
    },
  };
}

function inLowerCase(headers: SdkRequest["headers"]): Record<string, string> {
  const lower: Record<string, string> = {};
  for (const name in headers) lower[name.toLowerCase()] = headers[name] ?? "";
  return lower;
}

function bytesOf(body: unknown): Uint8Array {
  if (body === undefined) return new Uint8Array();
  if (typeof body === "string") return Buffer.from(body);
  // A plain view: the SDK's own kind warns of being read.
  if (body instanceof Uint8Array) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  throw new TypeError("a body of a kind that no client of ours sends");
}
