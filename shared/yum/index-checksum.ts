/** What a checksum can be of; `sha` is createrepo's old name for SHA-1. */
const HEX_DIGITS = { md5: 32, sha1: 40, sha224: 56, sha256: 64, sha384: 96, sha512: 128 } as const;

export type ChecksumType = keyof typeof HEX_DIGITS;

export type Checksum = { type: ChecksumType; value: string };

/** In lower case; undefined where it is none. */
export function checksumOf(type: string | undefined, value: string): Checksum | undefined {
  const wanted = type
    ?.toLowerCase()
    .replace(/^sha-?1?$/, "sha1")
    .replace(/^sha-/, "sha");
  const text = value.trim().toLowerCase();
  for (const [known, digits] of Object.entries(HEX_DIGITS)) {
    if (known === wanted && isChecksumType(known) && text.length === digits && /^[0-9a-f]+$/.test(text))
      return { type: known, value: text };
  }
  return undefined;
}

function isChecksumType(text: string): text is ChecksumType {
  return text in HEX_DIGITS;
}
