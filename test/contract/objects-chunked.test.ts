import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkedDecoder } from "../../infra/local/s3/chunked.ts";
import { S3Error } from "../../infra/local/s3/errors.ts";
import type { ChunkSigner } from "../../infra/local/sigv4.ts";
import { frame } from "../support/objects-raw.ts";

const chunk = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const chunks = fc.array(chunk, { maxLength: 8 });
const cuts = fc.array(fc.nat(2_000), { maxLength: 12 });
const trailer = fc.option(fc.constantFrom("x-amz-checksum-crc32:AAAAAA==", "X-Amz-Checksum-Sha256: abc "), {
  nil: undefined,
});

function pieces(body: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (body.length + 1)), body.length].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => body.subarray(places[i], end));
}

function decode(body: Buffer, at: readonly number[], signer?: ChunkSigner) {
  const decoder = new ChunkedDecoder(signer);
  const payload = pieces(body, at).flatMap((piece) => decoder.push(piece));
  decoder.end();
  return { payload: Buffer.concat(payload), trailers: Object.fromEntries(decoder.trailers) };
}

/** Any signature will do here, as long as it hangs on all that came before. */
const toy: ChunkSigner = {
  seed: "seed",
  chunk: (previous, sha256) => createHash("sha256").update(`chunk ${previous} ${sha256}`).digest("hex"),
  trailer: (previous, sha256) => createHash("sha256").update(`trailer ${previous} ${sha256}`).digest("hex"),
};

function frameToy(parts: readonly Buffer[], line?: string): Buffer {
  let previous = toy.seed;
  const framed = [...parts, Buffer.alloc(0)].map((part) => {
    previous = toy.chunk(previous, createHash("sha256").update(part).digest("hex"));
    const head = Buffer.from(`${part.length.toString(16)};chunk-signature=${previous}\r\n`);
    return part.length === 0 ? head : Buffer.concat([head, part, Buffer.from("\r\n")]);
  });
  const end =
    line === undefined
      ? ""
      : `${line}\r\nx-amz-trailer-signature:${toy.trailer(previous, createHash("sha256").update(`${line}\n`).digest("hex"))}\r\n`;
  return Buffer.concat([...framed, Buffer.from(`${end}\r\n`)]);
}

describe("the aws-chunked decoder", () => {
  test("gives back what was framed, wherever the network cuts it", () => {
    fc.assert(
      fc.property(chunks, cuts, trailer, (parts, at, line) => {
        const { payload, trailers } = decode(frame(parts, line), at);
        expect(payload.equals(Buffer.concat(parts))).toBe(true);
        const [name, value] = line?.split(":") ?? [];
        expect(trailers).toEqual(name === undefined ? {} : { [name.toLowerCase()]: value?.trim() });
      }),
    );
  });

  test("gives back what was framed and signed, wherever the network cuts it", () => {
    fc.assert(
      fc.property(
        chunks,
        cuts,
        fc.option(fc.constant("x-amz-checksum-crc32:AAAAAA=="), { nil: undefined }),
        (parts, at, line) => {
          expect(decode(frameToy(parts, line), at, toy).payload.equals(Buffer.concat(parts))).toBe(true);
        },
      ),
    );
  });

  test("refuses every body that ends early", () => {
    fc.assert(
      fc.property(chunks, cuts, fc.nat(), (parts, at, end) => {
        const body = frame(parts, "x-amz-checksum-crc32:AAAAAA==");
        expect(() => decode(body.subarray(0, end % body.length), at)).toThrow(S3Error);
      }),
    );
  });

  test("refuses every body with more behind its end", () => {
    fc.assert(
      fc.property(chunks, cuts, chunk, (parts, at, more) => {
        expect(() => decode(Buffer.concat([frame(parts), more]), at)).toThrow(S3Error);
      }),
    );
  });

  test("a changed byte of a signed body never goes unnoticed", () => {
    fc.assert(
      fc.property(chunks, cuts, fc.nat(), fc.integer({ min: 1, max: 255 }), (parts, at, place, flip) => {
        const body = frameToy(parts, "x-amz-checksum-crc32:AAAAAA==");
        body[place % body.length] = (body[place % body.length] ?? 0) ^ flip;
        let decoded: ReturnType<typeof decode>;
        try {
          decoded = decode(body, at, toy);
        } catch (error) {
          expect(error).toBeInstanceOf(S3Error);
          return;
        }
        // Upper and lower case of a hex length or of a trailer's name say the same.
        expect(decoded).toEqual({ payload: Buffer.concat(parts), trailers: { "x-amz-checksum-crc32": "AAAAAA==" } });
      }),
      { numRuns: 500 },
    );
  });

  test("any bytes at all end in an S3Error or in a payload, and keep no more than a line", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), cuts, (bytes, at) => {
        try {
          decode(Buffer.from(bytes), at);
        } catch (error) {
          expect(error).toBeInstanceOf(S3Error);
        }
      }),
      { numRuns: 500 },
    );
    const decoder = new ChunkedDecoder();
    expect(() => {
      for (let i = 0; i < 3_000; i++) decoder.push(Buffer.from("0"));
    }).toThrow(S3Error);
  });
});
