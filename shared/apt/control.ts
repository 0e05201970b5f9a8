import * as z from "zod";
import { AppError } from "../error.ts";

/**
 * One paragraph of deb822 (Debian Policy 5.1): fields in their order, names as written. A value has no white space around
 * it; its continuation lines are kept byte for byte with the blank that begins each.
 */
export const ControlFields = z.array(z.tuple([z.string(), z.string()]).readonly()).readonly();
export type ControlFields = z.infer<typeof ControlFields>;

export type ParagraphOptions = {
  /** Lines that begin with `#` are skipped: source control files and .sources files have them, binary packages don't. */
  comments?: boolean;
  /** The number of the text's first line, for errors. */
  firstLine?: number;
};

// Policy 5.1: printable US-ASCII but space and colon; not beginning with `#` or `-`.
const FIELD_LINE = /^([!"$-,.-9;-~][!-9;-~]*)[ \t]*:(.*)$/s;

/** The value of the field, whatever the case of its name. */
export function fieldOf(fields: ControlFields, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return fields.find(([field]) => field.toLowerCase() === wanted)?.[1];
}

/**
 * Reads exactly one paragraph; empty lines may stand before and after it.
 * @throws AppError `unprocessable` naming the line, and the field where there is one
 */
export function parseParagraph(text: string, options: ParagraphOptions = {}): ControlFields {
  const paragraphs = parseParagraphs(text, options);
  const [first, second] = paragraphs;
  if (first === undefined) throw refuse("there is no paragraph in it", options.firstLine ?? 1);
  if (second !== undefined) throw refuse("a second paragraph begins; only one is allowed", second.line);
  return first.fields;
}

/** Reads any number of paragraphs, each with the number of its first line. */
export function parseParagraphs(
  text: string,
  options: ParagraphOptions = {},
): { line: number; fields: ControlFields }[] {
  const paragraphs: { line: number; fields: ControlFields }[] = [];
  let open: { line: number; fields: { name: string; lines: string[] }[]; seen: Set<string> } | undefined;
  const close = () => {
    if (open !== undefined)
      paragraphs.push({ line: open.line, fields: open.fields.map((f) => [f.name, joined(f.lines)] as const) });
    open = undefined;
  };
  let number = (options.firstLine ?? 1) - 1;
  for (const line of text.split("\n")) {
    number++;
    if (options.comments && line.startsWith("#")) continue;
    if (line === "") {
      close();
      continue;
    }
    if (line.includes("\0")) throw refuse("a zero byte", number);
    const field = open?.fields.at(-1);
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (field === undefined) throw refuse("a continuation line without a field before it", number);
      // dpkg refuses it too; apt would take it for the end of the paragraph or not, by version.
      if (line.trim() === "")
        throw refuse("a line of white space only; an empty line is written ` .`", number, field.name);
      field.lines.push(line);
      continue;
    }
    const [, name, rest] = FIELD_LINE.exec(line) ?? [];
    if (name === undefined || rest === undefined)
      throw refuse(`${JSON.stringify(line.slice(0, 60))} is no "Field: value"`, number);
    open ??= { line: number, fields: [], seen: new Set() };
    if (open.seen.has(name.toLowerCase())) throw refuse("the field stands there twice", number, name);
    open.seen.add(name.toLowerCase());
    open.fields.push({ name, lines: [rest] });
  }
  close();
  return paragraphs;
}

/** The fields as lines, each ended by a newline; no empty line after them. */
export function renderParagraph(fields: ControlFields): string {
  return fields.map(([name, value]) => renderField(name, value)).join("");
}

export function renderField(name: string, value: string): string {
  return `${name}:${value === "" || value.startsWith("\n") ? "" : " "}${value}\n`;
}

/**
 * Where each paragraph lies in a big text, without decoding it: `bytes.subarray(start, end)` has its last newline but not
 * the empty line after it. Some 60 ms for Debian's main.
 */
export function* paragraphsOf(bytes: Uint8Array): Generator<{ start: number; end: number }> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let start = 0;
  while (start < text.length) {
    if (text[start] === 0x0a) {
      start++;
      continue;
    }
    const gap = text.indexOf("\n\n", start, "latin1");
    const end = gap === -1 ? text.length : gap + 1;
    yield { start, end };
    start = end;
  }
}

/** White space is trimmed where apt trims it: after the colon, and at the end of the value. */
function joined(lines: readonly string[]): string {
  const [first = "", ...more] = lines;
  return [first.replace(/^[ \t\r\v\f]+/, ""), ...more].join("\n").replace(/[ \t\r\v\f\n]+$/, "");
}

function refuse(what: string, line: number, field?: string): AppError {
  const where = field === undefined ? `line ${line}` : `line ${line}, field ${field}`;
  return new AppError("unprocessable", `${where}: ${what}`, { line, ...(field === undefined ? {} : { field }) });
}
