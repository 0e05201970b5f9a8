const PLAIN = /^[\t\n\r\x20-\x7f]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Text of header bytes (one code unit a byte) as createrepo_c has it: UTF-8, or else Latin-1 with control characters left out,
 * 0x80-0xBF among them since such bytes are more likely Windows-1252. The result is always valid in XML 1.0.
 */
export function textOf(bytes: string): string {
  if (PLAIN.test(bytes)) return bytes;
  if (!CONTROL.test(bytes)) {
    try {
      return utf8.decode(Buffer.from(bytes, "latin1")).replace(/[\ufffe\uffff]/g, "");
    } catch {
      // not UTF-8: Latin-1 then
    }
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
  return bytes.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x80-\xbf]/g, "");
}
