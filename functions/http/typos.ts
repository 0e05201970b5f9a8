const LITERALS: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };

/**
 * The body of a client that follows the interfaces' documents to the letter: their examples have commas behind the last member, and
 * literals as Python writes them. What is JSON is left as it is, and what is none for other reasons is for the parser to refuse.
 */
export function withoutTypos(text: string): string {
  if (isJson(text)) return text;
  const mended = mend(text);
  return isJson(mended) ? mended : text;
}

function mend(text: string): string {
  const parts: string[] = [];
  let at = 0;
  while (at < text.length) {
    const end = endOfToken(text, at);
    const token = text.slice(at, end);
    // A comma before a bracket: the blanks between went with it, so that each character is looked at twice at most.
    if (token[0] !== "," || !"}]".includes(text[end] ?? "?")) parts.push(LITERALS[token] ?? token);
    at = end;
  }
  return parts.join("");
}

/** Of a string, a word, a comma with the blanks behind it, or of any other character. */
function endOfToken(text: string, start: number): number {
  const first = text[start] ?? "";
  let end = start + 1;
  if (first === '"') {
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    return end + 1;
  }
  const goesOn = first === "," ? /\s/ : /\w/.test(first) ? /\w/ : undefined;
  while (goesOn && end < text.length && goesOn.test(text[end] ?? "")) end += 1;
  return end;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
