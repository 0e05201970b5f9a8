import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Answer, StoreRequest } from "./call.ts";
import type { ObjectStore } from "./store.ts";

/** What the SDK's clients send, as far as the store reads it. */
type SdkRequest = {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
type SdkResponse = { statusCode: number; headers: Record<string, string>; body: Readable };
type Handled = { readonly abortSignal?: unknown };

/**
 * A request handler for the SDK's clients of this process: their requests, made as for any store, are answered by the endpoint
 * itself. What a socket, twice, and HTTP, twice, would cost is more than all else about a small object.
 */
export function inProcess(store: Pick<ObjectStore, "answer">) {
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(request: SdkRequest, { abortSignal }: Handled = {}): Promise<{ response: SdkResponse }> {
      const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
      // As over a socket, others have their turn between any two requests.
      await nextTurn();
      signal?.throwIfAborted();
      const body = bodyOf(request.body);
      const giveUp = () => void (body instanceof Readable && body.destroy());
      signal?.addEventListener("abort", giveUp, { once: true });
      try {
        const answer = await store.answer(storeRequestOf(request, body, signal));
        signal?.throwIfAborted();
        if (!answer) throw new Error("the request was given up");
        return { response: responseOf(answer) };
      } finally {
        signal?.removeEventListener("abort", giveUp);
      }
    },
  };
}

function storeRequestOf(
  { method, path, query, headers, body: given }: SdkRequest,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): StoreRequest {
  const lower: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(headers)) lower[name.toLowerCase()] = value;
  // Of an empty body the SDK tells no length; who writes to a socket does.
  if (!(given instanceof Readable)) lower["content-length"] ??= "0";
  const isGone = () => signal?.aborted === true;
  return { isOurs: true, method, url: path + queryOf(query), headers: lower, body, isGone };
}

function queryOf(query: SdkRequest["query"] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) =>
      one === null ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(one)}`,
    ),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function bodyOf(body: unknown): AsyncIterable<Uint8Array> {
  if (body instanceof Readable) return body;
  if (body === undefined) return only();
  if (typeof body === "string") return only(Buffer.from(body));
  if (body instanceof Uint8Array) return only(body);
  throw new TypeError("a body of a kind that no client of ours sends");
}

async function* only(bytes?: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes && bytes.length > 0) yield bytes;
}

function responseOf({ status, headers = {}, body }: Answer): SdkResponse {
  return { statusCode: status, headers, body: body instanceof Readable ? body : streamOf(body) };
}

function streamOf(body: string | Uint8Array | undefined): Readable {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return Readable.from(bytes && bytes.length > 0 ? [bytes] : [], { objectMode: false });
}
