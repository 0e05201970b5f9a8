import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UpstreamError } from "../../shared/upstream/fetch-error.ts";
import { shown, targetOf, withoutCredentials } from "../../shared/upstream/fetch-url.ts";

function refusalOf(text: string): UpstreamError {
  try {
    targetOf(text);
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

describe("a URL shown without credentials", () => {
  test.each([
    ["poop", "poop"],
    ["http://mirror.example.org/debian", "http://mirror.example.org/debian"],
    ["HTTP://Deb.Debian.Org/a b", "HTTP://Deb.Debian.Org/a b"],
    ["https://user:pass@host/debian/", "https://host/debian/"],
    ["https://user@host/", "https://host/"],
    ["https://:pass@host/", "https://host/"],
    ["https://user:p%40ss@host:8443/a?b=c", "https://host:8443/a?b=c"],
    ["https://user:p@ss@host/", "https://host/"],
    ["http:user:pass@host/x", "http://host/x"],
    ["http:\\\\user:pass@host/x", "http://host/x"],
    ["s3://key:secret@bucket/prefix", "s3://bucket/prefix"],
    ["http://user:pass@host:99999/", "http://host:99999/"],
    ["http://user:pa/ss@ho st/", "http://ho st/"],
    ["//user:pass@host/", "host/"],
    ["user:pass@host/path", "host/path"],
    ["user:pa\nss@host/path", "host/path"],
    ["https://host/@scope/name", "https://host/@scope/name"],
  ])("%j is %j", (text, expected) => {
    expect(withoutCredentials(text)).toBe(expected);
  });

  test("holds no secret, whatever else is wrong with it", () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9!$]{0,4}SECRET[A-Za-z0-9:@!$]{0,4}$/);
    const scheme = fc.constantFrom(
      "http://",
      "https://",
      "s3://",
      "ftp://",
      "//",
      "",
      "http:",
      "http:\\\\",
      " http://",
    );
    const host = fc.oneof(fc.domain(), fc.constantFrom("host:99999", "ho st", "[::1", "", "a..b", "%zz"));
    fc.assert(
      fc.property(scheme, secret, host, (start, hidden, end) => {
        expect(withoutCredentials(`${start}user:${hidden}@${end}/path`)).not.toContain("SECRET");
      }),
    );
  });
});

describe("what can be fetched", () => {
  test.each([
    ["poop", "url"],
    ["", "url"],
    ["http://", "url"],
    ["http://a..b/", "url"],
    ["http://./", "url"],
    ["http://1.2.3.4.5/", "url"],
    ["http://[fe80::1%25eth0]/", "url"],
    ["http://[fe80::1%eth0]/", "url"],
    ["http://host:99999/", "url"],
    ["file:///etc/passwd", "scheme"],
    ["ftp://host/", "scheme"],
    ["s3://bucket/", "scheme"],
    ["data:text/plain,x", "scheme"],
    ["user:pass@host/", "scheme"],
    ["http://host:0/", "port"],
    ["http://host:22/", "port"],
    ["http://host:25/", "port"],
    ["http://host:6379/", "port"],
    ["http://host:11211/", "port"],
    ["https://host:6000/", "port"],
  ])("%j is refused: %s", (text, reason) => {
    const error = refusalOf(text);
    expect(error.reason).toBe(reason);
    expect(error.message).toContain("expected");
    expect(error.message).not.toContain("pass@");
  });

  test.each(["http://host/", "https://host:8443/", "http://host:8080/", "http://host:443/", "https://host:3142/x?y#z"])(
    "%s is taken",
    (text) => {
      expect(targetOf(text).url.href).toBe(text.replace("#z", ""));
    },
  );

  test("an address is read as a browser reads it, so that it is checked in its one spelling", () => {
    const odd = [
      "2130706433",
      "0x7f000001",
      "0x7f.1",
      "0177.0.0.1",
      "127.1",
      "127.0.0.1.",
      "１２７.0.0.1",
      "%31%32%37.1",
    ];
    for (const host of odd) expect([host, targetOf(`http://${host}/`).url.hostname]).toEqual([host, "127.0.0.1"]);
    expect(targetOf("http://127.0.0.1../").url.hostname).toBe("127.0.0.1");
    expect(targetOf("http://[0:0:0:0:0:ffff:127.0.0.1]/").url.hostname).toBe("[::ffff:7f00:1]");
    expect(targetOf("http://LOCALHOST./").url.hostname).toBe("localhost");
  });

  test("credentials leave the URL for a Basic header, decoded", () => {
    const { url, authorization } = targetOf("https://us%65r:p%40ss%3A%C3%BC@host/x");
    expect(url.href).toBe("https://host/x");
    expect(authorization).toBe(`Basic ${Buffer.from("user:p@ss:ü").toString("base64")}`);
    expect(targetOf("https://host/").authorization).toBeUndefined();
    expect(targetOf("https://100%25%zz@host/").authorization).toBe(`Basic ${btoa("100%%zz:")}`);
  });
});

test("where a redirect led is shown without its query, which is often a signature", () => {
  const first = new URL("https://a.example/list?repo=fedora");
  expect(shown(first)).toBe("https://a.example/list?repo=fedora");
  expect(shown(new URL("https://b.example/x?X-Amz-Signature=1"), first)).toBe(
    "https://a.example/list?repo=fedora (redirected to https://b.example/x?…)",
  );
});
