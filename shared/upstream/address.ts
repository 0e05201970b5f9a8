import { BlockList, isIP } from "node:net";

/** A network, and what it is called when an upstream turns out to lie in it. */
type Network = readonly [start: string, prefix: number, kind: string];

// IANA IPv4 Special-Purpose Address Registry, and what no package was ever served from.
const IPV4: readonly Network[] = [
  ["0.0.0.0", 8, "unspecified"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "carrier-grade NAT"],
  ["127.0.0.0", 8, "loopback"],
  ["168.63.129.16", 32, "cloud metadata"], // Azure's, the one that looks public
  ["169.254.0.0", 16, "link-local"], // 169.254.169.254: the metadata of most clouds
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "documentation"],
  ["192.88.99.0", 24, "6to4 relay"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "benchmarking"],
  ["198.51.100.0", 24, "documentation"],
  ["203.0.113.0", 24, "documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["255.255.255.255", 32, "broadcast"],
  ["240.0.0.0", 4, "reserved"],
];

const NAT64 = "64:ff9b::";

// Only the kinds that have a name: whatever is not in PUBLIC_IPV6 is refused too.
const IPV6: readonly Network[] = [
  ["::", 128, "unspecified"],
  ["::1", 128, "loopback"],
  ["::ffff:0:0", 96, "IPv4-mapped"], // no resolver gives one unless asked: a way round the list above
  ["::", 96, "IPv4-compatible"],
  ["64:ff9b:1::", 48, "local NAT64"],
  ["2001::", 32, "Teredo"], // carries an IPv4 address; closed down since
  ["2001::", 23, "reserved"],
  ["2001:db8::", 32, "documentation"],
  ["2002::", 16, "6to4"], // carries an IPv4 address; RFC 7526 ended it
  ["3fff::", 20, "documentation"],
  ["fc00::", 7, "private"], // fd00:ec2::254: the metadata of EC2
  ["fe80::", 10, "link-local"],
  ["fec0::", 10, "site-local"],
  ["ff00::", 8, "multicast"],
  // An IPv6-only network reaches IPv4 through 64:ff9b::/96 (RFC 6052): what is wrong for IPv4 is wrong there.
  ...IPV4.map(([start, prefix, kind]): Network => [NAT64 + start, 96 + prefix, `${kind} (through NAT64)`]),
];

/** Global unicast (RFC 4291) and NAT64: of IPv6, an address that nobody thought of is not public. */
const PUBLIC_IPV6 = listOf([
  ["2000::", 3, ""],
  [NAT64, 96, ""],
]);

const FORBIDDEN = {
  ipv4: IPV4.map((network) => ({ kind: network[2], list: listOf([network]) })),
  ipv6: IPV6.map((network) => ({ kind: network[2], list: listOf([network]) })),
};

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const [start, prefix] of networks) list.addSubnet(start, prefix, start.includes(":") ? "ipv6" : "ipv4");
  return list;
}

/**
 * What kind of address it is that no upstream may have (`loopback`, `private`, …); undefined for a public one. Text that
 * is no plain IPv4 or IPv6 address (an odd spelling, a zone id) is of a forbidden kind too.
 */
export function forbiddenKindOf(address: string): string | undefined {
  const family = address.includes("%") ? 0 : isIP(address);
  if (family === 0) return "unreadable";
  const name = family === 4 ? "ipv4" : "ipv6";
  const found = FORBIDDEN[name].find(({ list }) => list.check(address, name));
  if (found) return found.kind;
  return family === 4 || PUBLIC_IPV6.check(address, "ipv6") ? undefined : "reserved";
}
