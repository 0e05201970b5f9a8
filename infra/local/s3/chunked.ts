import { createHash, type Hash } from "node:crypto";
import { type ChunkSigner, sameText } from "../sigv4.ts";
import { S3Error } from "./errors.ts";

const MAX_LINE_BYTES = 1_024;
const MAX_TRAILER_BYTES = 8_192;
const MAX_CHUNK_BYTES = 2 ** 40;
const LF = 10;

type Place = "size" | "bytes" | "afterBytes" | "trailer" | "end";

function incomplete(): S3Error {
  return new S3Error("IncompleteBody", "The request body terminated unexpectedly or is not framed as aws-chunked");
}

/**
 * Takes the `aws-chunked` framing off a body, wherever its bytes are cut: `SIZE[;chunk-signature=S]CRLF BYTES CRLF …
 * 0[;…]CRLF NAME:VALUE CRLF … CRLF`. With a signer every chunk (and the trailer) must carry its signature.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
 */
export class ChunkedDecoder {
  readonly trailers = new Map<string, string>();
  readonly #signer: ChunkSigner | undefined;
  #place: Place = "size";
  #line: Buffer[] = [];
  #lineBytes = 0;
  #left = 0;
  #trailerBytes = 0;
  #last = false;
  #previous: string;
  #claimed = "";
  #hash: Hash | undefined;
  #trailerText = "";

  constructor(signer?: ChunkSigner) {
    this.#signer = signer;
    this.#previous = signer?.seed ?? "";
  }

  /** The payload bytes in `bytes`, as views of it. */
  push(bytes: Buffer): Buffer[] {
    const payload: Buffer[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#place === "bytes") {
        const taken = bytes.subarray(at, at + this.#left);
        at += taken.length;
        this.#left -= taken.length;
        this.#hash?.update(taken);
        payload.push(taken);
        if (this.#left === 0) this.#place = "afterBytes";
        continue;
      }
      if (this.#place === "end") throw incomplete();
      const end = bytes.indexOf(LF, at);
      const part = bytes.subarray(at, end < 0 ? bytes.length : end + 1);
      this.#lineBytes += part.length;
      if (this.#lineBytes > MAX_LINE_BYTES) throw incomplete();
      // A copy: the line may go on in the next buffer.
      this.#line.push(Buffer.from(part));
      at += part.length;
      if (end >= 0) this.#takeLine();
    }
    return payload;
  }

  /** @throws S3Error when the last chunk, or what follows it, has not come. */
  end(): void {
    if (this.#place !== "end") throw incomplete();
  }

  #takeLine(): void {
    const line = Buffer.concat(this.#line).toString("latin1");
    this.#line = [];
    this.#lineBytes = 0;
    if (!line.endsWith("\r\n")) throw incomplete();
    const text = line.slice(0, -2);
    if (this.#place === "size") this.#startChunk(text);
    else if (this.#place === "trailer") this.#takeTrailer(text);
    else if (text !== "") throw incomplete();
    else {
      this.#endChunk();
      this.#place = "size";
    }
  }

  #startChunk(text: string): void {
    const [, size, signature] = /^([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(text) ?? [];
    if (size === undefined) throw incomplete();
    this.#left = Number.parseInt(size, 16);
    if (this.#left > MAX_CHUNK_BYTES) throw incomplete();
    if (this.#signer) {
      if (signature === undefined) throw incomplete();
      this.#claimed = signature;
      this.#hash = createHash("sha256");
    }
    this.#last = this.#left === 0;
    if (this.#last) this.#endChunk();
    this.#place = this.#last ? "trailer" : "bytes";
  }

  #endChunk(): void {
    if (!this.#signer || !this.#hash) return;
    const expected = this.#signer.chunk(this.#previous, this.#hash.digest("hex"));
    this.#hash = undefined;
    this.#verify(expected, this.#claimed);
  }

  #verify(expected: string, claimed: string): void {
    if (!sameText(expected, claimed))
      throw new S3Error(
        "SignatureDoesNotMatch",
        "The signature of a chunk that we calculated does not match the signature you provided.",
      );
    this.#previous = expected;
  }

  #takeTrailer(text: string): void {
    if (text === "") {
      // An unsigned trailer in a signed body would be a checksum that anybody on the way could have put there.
      if (this.#signer && this.#trailerText !== "") throw malformedTrailer();
      this.#place = "end";
      return;
    }
    this.#trailerBytes += text.length;
    const cut = text.indexOf(":");
    if (cut <= 0 || this.#trailerBytes > MAX_TRAILER_BYTES) throw malformedTrailer();
    const name = text.slice(0, cut).trim().toLowerCase();
    const value = text.slice(cut + 1).trim();
    if (this.#signer && name === "x-amz-trailer-signature") {
      const hash = createHash("sha256").update(this.#trailerText).digest("hex");
      this.#verify(this.#signer.trailer(this.#previous, hash), value);
      this.#trailerText = "";
      return;
    }
    if (this.trailers.has(name)) throw malformedTrailer();
    this.trailers.set(name, value);
    this.#trailerText += `${name}:${value}\n`;
  }
}

function malformedTrailer(): S3Error {
  return new S3Error("MalformedTrailerError", "The request contained trailing data that was not well-formed");
}
