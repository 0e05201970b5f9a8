import { refuse } from "./index-stanza.ts";

/** A stanza with the empty line after it, and the number of its first line. */
export type SplitStanza = { stanza: Buffer; line: number };

// The largest of Debian's is 60 kB.
const MAX_STANZA_BYTES = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;

/**
 * Cuts a stream at its empty lines, a batch for each piece of it. Stanzas are views of a piece's own memory.
 * @throws AppError `unprocessable` naming the line
 */
export async function* stanzasOf(
  source: AsyncIterable<Uint8Array>,
  where: string,
): AsyncGenerator<SplitStanza[], void> {
  const state = { where, line: 1 };
  // What has no end yet, in the parts it came in: joined only once there may be an end, or the whole has doubled.
  let parts: Uint8Array[] = [];
  let there = 0;
  let wanted = 0;
  for await (const part of source) {
    if (part.length === 0) continue;
    there += part.length;
    if (there < wanted) {
      // It is not ours any more when the next one is asked for.
      parts.push(Buffer.from(part));
      continue;
    }
    const bytes = Buffer.concat([...parts, part], there);
    const { stanzas, rest } = cut(bytes, state);
    if (stanzas.length > 0) yield stanzas;
    if (rest.length > MAX_STANZA_BYTES)
      throw refuse(where, state.line, `a stanza of more than ${MAX_STANZA_BYTES} bytes begins`);
    parts = [rest];
    there = rest.length;
    wanted = there + Math.min(there, MAX_STANZA_BYTES);
  }
  const last = cut(Buffer.concat([...parts, Buffer.from("\n\n")]), state).stanzas;
  if (last.length > 0) yield last;
}

/** The stanzas that end in `bytes`; each is there with one empty line, and the first of what follows is no empty line. */
function cut(bytes: Buffer, state: { where: string; line: number }): { stanzas: SplitStanza[]; rest: Buffer } {
  const stanzas: SplitStanza[] = [];
  let start = 0;
  for (;;) {
    while (bytes[start] === LINE_FEED) {
      start++;
      state.line++;
    }
    if (start === bytes.length) break;
    let at = start;
    let lines = 0;
    let end = -1;
    while (end === -1) {
      const newline = bytes.indexOf(LINE_FEED, at);
      if (newline === -1) return { stanzas, rest: bytes.subarray(start) };
      lines++;
      // apt takes it for the end of a stanza, dpkg for a fault.
      if (newline === at + 1 && bytes[at] === 0x0d)
        throw refuse(state.where, state.line + lines - 1, "a carriage return; an empty line has no character");
      if (bytes[newline + 1] === LINE_FEED) end = newline + 2;
      at = newline + 1;
    }
    const stanza = bytes.subarray(start, end);
    if (stanza.includes(0)) throw refuse(state.where, state.line, "a zero byte in the stanza that begins here");
    stanzas.push({ stanza, line: state.line });
    state.line += lines + 1;
    start = end;
  }
  return { stanzas, rest: Buffer.alloc(0) };
}
