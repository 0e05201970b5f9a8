// Written as libxml2 writes it, so that our indexes equal createrepo_c's byte for byte.

/** Text of an element. Its characters must be valid in XML already. */
export function xmlText(text: string): string {
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, entityOf) : text;
}

/** Value of an attribute, in double quotes. Its characters must be valid in XML already. */
export function xmlAttribute(value: string): string {
  return /^[\w.:~^+-]*$/.test(value) ? value : value.replace(/[&<>"\t\n\r\u{80}-\u{10ffff}]/gu, entityOf);
}

/** ` name="value"` for each that has a value. */
export function xmlAttributes(values: Record<string, string | number | undefined>): string {
  return Object.entries(values)
    .map(([name, value]) => (value === undefined ? "" : ` ${name}="${xmlAttribute(String(value))}"`))
    .join("");
}

const NAMED: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function entityOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return NAMED[character] ?? (code < 0x80 ? `&#${code};` : `&#x${code.toString(16).toUpperCase()};`);
}
