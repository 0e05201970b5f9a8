import fc from "fast-check";
import { expect, test } from "vitest";
import { forbiddenKindOf } from "../../shared/upstream/address.ts";

test.each([
  ["0.0.0.0", "unspecified"],
  ["0.255.255.255", "unspecified"],
  ["10.1.2.3", "private"],
  ["100.64.0.1", "carrier-grade NAT"],
  ["100.127.255.255", "carrier-grade NAT"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["168.63.129.16", "cloud metadata"],
  ["169.254.169.254", "link-local"],
  ["169.254.170.2", "link-local"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.0.0.192", "reserved"],
  ["192.0.2.1", "documentation"],
  ["192.88.99.1", "6to4 relay"],
  ["192.168.0.1", "private"],
  ["198.18.0.1", "benchmarking"],
  ["198.19.255.255", "benchmarking"],
  ["198.51.100.1", "documentation"],
  ["203.0.113.1", "documentation"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.255", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "broadcast"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["0:0:0:0:0:0:0:1", "loopback"],
  ["::ffff:127.0.0.1", "IPv4-mapped"],
  ["::ffff:7f00:1", "IPv4-mapped"],
  ["::FFFF:8.8.8.8", "IPv4-mapped"],
  ["::127.0.0.1", "IPv4-compatible"],
  ["::ffff:0:127.0.0.1", "reserved"],
  ["64:ff9b::127.0.0.1", "loopback (through NAT64)"],
  ["64:ff9b::a9fe:a9fe", "link-local (through NAT64)"],
  ["64:ff9b:1::1", "local NAT64"],
  ["100::1", "reserved"],
  ["2001::1", "Teredo"],
  ["2001:2::1", "reserved"],
  ["2001:1ff::1", "reserved"],
  ["2001:db8::1", "documentation"],
  ["2002:7f00:1::", "6to4"],
  ["2002:808:808::1", "6to4"],
  ["3fff:fff::1", "documentation"],
  ["4000::1", "reserved"],
  ["5f00::1", "reserved"],
  ["fc00::1", "private"],
  ["fd00:ec2::254", "private"],
  ["fe80::1", "link-local"],
  ["febf::1", "link-local"],
  ["fec0::1", "site-local"],
  ["ff02::1", "multicast"],
])("%s is refused: %s", (address, kind) => {
  expect(forbiddenKindOf(address)).toBe(kind);
});

test.each([
  ...["fe80::1%eth0", "2600::1%1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "08.8.8.8", "8.8.8", "8.8.8.8."],
  ...["[::1]", "localhost", "", " 8.8.8.8", "8.8.8.8\0", "١.1.1.1"],
])("%j is no address that could be checked", (address) => {
  expect(forbiddenKindOf(address)).toBe("unreadable");
});

test.each([
  ...["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
  ...["128.0.0.0", "151.101.2.132", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0"],
  ...["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"],
  ...["2001:200::1", "2001:67c:1560::1", "2600:9000::1", "2a04:4e42::644", "64:ff9b::8.8.8.8", "3fff:1000::1"],
])("%s is public", (address) => {
  expect(forbiddenKindOf(address)).toBeUndefined();
});

// What is refused, once more and in another way: as first and last number.
const V4_RANGES = `
  0.0.0.0-0.255.255.255 10.0.0.0-10.255.255.255 100.64.0.0-100.127.255.255 127.0.0.0-127.255.255.255
  168.63.129.16-168.63.129.16 169.254.0.0-169.254.255.255 172.16.0.0-172.31.255.255 192.0.0.0-192.0.0.255
  192.0.2.0-192.0.2.255 192.88.99.0-192.88.99.255 192.168.0.0-192.168.255.255 198.18.0.0-198.19.255.255
  198.51.100.0-198.51.100.255 203.0.113.0-203.0.113.255 224.0.0.0-255.255.255.255
`
  .trim()
  .split(/\s+/)
  .map((range) => range.split("-").map(numberOf));
const V6_RANGES = [
  [0x2001n << 112n, (0x2001_0200n << 96n) - 1n],
  [0x2001_0db8n << 96n, (0x2001_0db9n << 96n) - 1n],
  [0x2002n << 112n, (0x2003n << 112n) - 1n],
  [0x3fff_0000n << 96n, (0x3fff_1000n << 96n) - 1n],
];
const NAT64 = 0x0064_ff9bn << 96n;

function numberOf(v4: string): number {
  return v4.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function dotted(v4: number): string {
  return [24, 16, 8, 0].map((shift) => (v4 >>> shift) & 255).join(".");
}

function isPublic4(v4: number): boolean {
  return !V4_RANGES.some(([first = 0, last = 0]) => v4 >= first && v4 <= last);
}

function isPublic6(v6: bigint): boolean {
  if (v6 >> 32n === NAT64 >> 32n) return isPublic4(Number(v6 & 0xffff_ffffn));
  return v6 >> 125n === 1n && !V6_RANGES.some(([first = 0n, last = 0n]) => v6 >= first && v6 <= last);
}

function groups(v6: bigint): string[] {
  return Array.from({ length: 8 }, (_, i) => ((v6 >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
}

/** Every spelling: in full, with leading zeros, upper case, compressed, with the last 32 bits as IPv4. */
function spellings(v6: bigint): string[] {
  const parts = groups(v6);
  const last = dotted(Number(v6 & 0xffff_ffffn));
  return [
    parts.join(":"),
    parts.map((part) => part.padStart(4, "0").toUpperCase()).join(":"),
    new URL(`http://[${parts.join(":")}]/`).hostname.slice(1, -1),
    [...parts.slice(0, 6), last].join(":"),
  ];
}

const anyV4 = fc.oneof(
  fc.nat(0xffff_ffff),
  fc
    .tuple(fc.constantFrom(...V4_RANGES.flat()), fc.integer({ min: -1, max: 1 }))
    .map(([edge, by]) => Math.min(Math.max(edge + by, 0), 0xffff_ffff)),
);

test("any IPv4 address is refused exactly when it lies in a range that is", () => {
  fc.assert(
    fc.property(anyV4, (v4) => {
      expect(forbiddenKindOf(dotted(v4)) === undefined).toBe(isPublic4(v4));
    }),
    { numRuns: 2000 },
  );
});

const any128 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const anyV6 = fc.oneof(
  any128,
  any128.map((bits) => (1n << 125n) | (bits >> 3n)),
  anyV4.map((v4) => NAT64 | BigInt(v4)),
  fc
    .tuple(fc.constantFrom(...V6_RANGES.flat(), 1n << 125n, 2n << 125n, NAT64), fc.bigInt({ min: -1n, max: 1n }))
    .map(([edge, by]) => edge + by),
);

test("any IPv6 address, however it is spelled, is refused unless it is global unicast or NAT64 of a public one", () => {
  fc.assert(
    fc.property(anyV6, (v6) => {
      for (const text of spellings(v6))
        expect([text, forbiddenKindOf(text) === undefined]).toEqual([text, isPublic6(v6)]);
    }),
    { numRuns: 2000 },
  );
});

test("no spelling that a generator finds is taken for a public address by chance", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6()), (text) => {
      if (forbiddenKindOf(text) !== undefined) return;
      const host = new URL(`http://${text.includes(":") ? `[${text}]` : text}/`).hostname.replace(/^\[|\]$/g, "");
      expect(forbiddenKindOf(host)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

test("an IPv4 address is refused in each of its mapped, compatible, 6to4 and Teredo forms, public or not", () => {
  fc.assert(
    fc.property(anyV4, (v4) => {
      const [a, b] = [(v4 >>> 16).toString(16), (v4 & 0xffff).toString(16)];
      const [na, nb] = [(~v4 >>> 16).toString(16), (~v4 & 0xffff).toString(16)];
      const forms = [`::ffff:${a}:${b}`, `::${a}:${b}`, `2002:${a}:${b}::1`, `2001:0:${a}:${b}::1`];
      for (const form of [...forms, `2001:0:4136:e378:8000:63bf:${na}:${nb}`, `64:ff9b:1::${a}:${b}`])
        expect([form, forbiddenKindOf(form)]).not.toEqual([form, undefined]);
    }),
  );
});
