import { expect, test } from "vitest";
import { stanzaDifference } from "../../bench/check-apt.ts";

const STANZA = "Package: a\nVersion: 1\nArchitecture: all\nDescription: short\n long\nSHA256: 12\n";
const OTHER = "Package: b\nVersion: 1\nArchitecture: all";

test("stanzas say the same in another order, and wherever their files lie", () => {
  const theirs =
    "Package: a\nSHA1: 7\nFilename: x\nSHA256: 12\nArchitecture: all\nVersion: 1\nDescription: short\n long";
  expect(stanzaDifference([`${STANZA}Filename: pool/y`, OTHER], [OTHER, theirs])).toBeUndefined();
});

test("a field, a stanza too few and one too many are told", () => {
  expect(stanzaDifference([STANZA.replace(" long", " lang")], [STANZA])).toContain("a 1 all has description");
  expect(stanzaDifference([STANZA.replace("SHA256: 12\n", "")], [STANZA])).toContain("a 1 all has sha256 undefined");
  expect(stanzaDifference([`${STANZA}Tag: x`], [STANZA])).toContain('a 1 all has tag "x"');
  expect(stanzaDifference([STANZA], [STANZA, OTHER])).toBe("b 1 all is not published");
  expect(stanzaDifference([STANZA, OTHER], [STANZA])).toBe("b 1 all is published, and is none of those");
});
