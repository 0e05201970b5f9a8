import { describe, expect, test } from "vitest";
import { fetchBytes } from "../../shared/upstream/fetch-bytes.ts";
import { openFetcher, openUpstream, thrownBy } from "../support/upstream-site.ts";

const MAX = { maxBytes: 1000 };
const hello = () => openUpstream((_, response) => void response.end("hello"));

/** As in production, but for what a name means. */
function strict(...addresses: string[]) {
  const asked: string[] = [];
  const resolve = async (hostname: string) => {
    asked.push(hostname);
    return addresses;
  };
  return { asked, fetcher: openFetcher({ allowPrivate: false, resolve, connectTimeoutMs: 1_000 }) };
}

describe("an inner address that the URL names", () => {
  test.each([
    ...["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "127.0.0.1..", "１２７.0.0.1"],
    ...["localhost", "LOCALHOST.", "a.localhost", "a.localhost..", "ⓛocalhost"],
    ...["[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::127.0.0.1]"],
    ...["0", "0.0.0.0", "[::]", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "192.168.1.1", "100.64.0.1"],
  ])("%s is refused, and no connection made", async (host) => {
    const site = await hello();
    const { asked, fetcher } = strict("127.0.0.1");
    const error = await thrownBy(fetcher.get(`http://${host}:${site.port}/`, MAX));
    expect(error).toMatchObject({ name: "UpstreamError", reason: "address" });
    expect(site.connections.made).toBe(0);
    expect(asked).toEqual([]);
  });

  test.each(["localhost", "127.0.0.1"])("%s is reached where that is allowed", async (host) => {
    const site = await hello();
    const fetcher = openFetcher({ resolve: async () => ["127.0.0.1"] });
    expect((await fetchBytes(fetcher, `http://${host}:${site.port}/`, MAX)).bytes.toString()).toBe("hello");
  });
});

describe("a name that leads inside", () => {
  test.each([
    ["127.0.0.1", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "IPv4-mapped"],
    ["169.254.169.254", "link-local"],
    ["fd00:ec2::254", "private"],
    ["fe80::1%lo", "unreadable"],
    ["64:ff9b::7f00:1", "loopback (through NAT64)"],
  ])("(to %s) is refused, telling the kind of address alone", async (address, kind) => {
    const site = await hello();
    const { asked, fetcher } = strict(address);
    const url = `http://inner.example:${site.port}/`;
    const error = await thrownBy(fetcher.get(url, MAX));
    expect(error).toMatchObject({ name: "UpstreamError", reason: "address" });
    expect((error as Error).message).toBe(`${url}: expected a public address, got one that is ${kind}`);
    expect(site.connections.made).toBe(0);
    expect(asked).toEqual(["inner.example"]);
  });

  test("with all its addresses is refused", async () => {
    const { fetcher } = strict("10.0.0.1", "::1", "192.168.0.1");
    expect(String(await thrownBy(fetcher.get("https://inner.example/", MAX)))).toMatch(
      /got one that is private and loopback$/,
    );
  });

  test("is refused after a redirect, before a byte is sent", async () => {
    const inner = await hello();
    const to = ["http://inner.example", "http://127.0.0.2", "http://2130706434", "http://[::ffff:127.0.0.2]"];
    const site = await openUpstream((request, response) => {
      response.writeHead(302, { Location: `${to[Number(request.url?.slice(1))]}:${inner.port}/` }).end();
    });
    // 127.0.0.1 stands for a public address, all else of this machine for an inner one.
    const fetcher = openFetcher({
      forbidden: (address) => (address === "127.0.0.1" ? undefined : "loopback"),
      resolve: async (hostname) => [hostname === "outer.example" ? "127.0.0.1" : "127.0.0.2"],
    });
    for (const nth of to.keys()) {
      const error = await thrownBy(fetcher.get(`http://outer.example:${site.port}/${nth}`, MAX));
      expect([nth, error]).toEqual([nth, expect.objectContaining({ name: "UpstreamError", reason: "address" })]);
    }
    expect(site.requests).toHaveLength(4);
    expect(inner.connections.made).toBe(0);
  });
});

describe("a name", () => {
  const outerOnly = (address: string) => (address === "127.0.0.2" ? undefined : "loopback");

  test("with addresses of both kinds is reached at the allowed ones alone", async () => {
    const inner = await hello();
    const outer = await openUpstream((_, response) => void response.end("outer"), {
      address: "127.0.0.2",
      port: inner.port,
    });
    const resolve = async () => ["127.0.0.1", "::1", "127.0.0.2", "10.0.0.1"];
    const fetcher = openFetcher({ forbidden: outerOnly, resolve });
    const { bytes } = await fetchBytes(fetcher, `http://both.example:${inner.port}/`, MAX);
    expect(bytes.toString()).toBe("outer");
    expect([inner.connections.made, outer.connections.made]).toEqual([0, 1]);
  });

  test("is resolved once, and the address that was checked is the one connected to", async () => {
    const inner = await hello();
    const outer = await openUpstream((_, response) => void response.end("outer"), {
      address: "127.0.0.2",
      port: inner.port,
    });
    const answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]];
    const fetcher = openFetcher({ forbidden: outerOnly, resolve: async () => answers.shift() ?? [] });
    const url = `http://rebound.example:${inner.port}/`;
    expect((await fetchBytes(fetcher, url, MAX)).bytes.toString()).toBe("outer");
    expect(answers).toHaveLength(2);
    // The connection that is kept still goes where it went; a new one is checked anew.
    expect((await fetchBytes(fetcher, url, MAX)).bytes.toString()).toBe("outer");
    expect(answers).toHaveLength(2);
    const again = openFetcher({ forbidden: outerOnly, resolve: async () => answers.shift() ?? [] });
    expect(await thrownBy(again.get(url, MAX))).toMatchObject({ reason: "address" });
    expect([inner.connections.made, outer.connections.made]).toEqual([0, 1]);
  });

  test("that cannot be resolved just now is a fault, not an error for good", async () => {
    const failing = openFetcher({
      resolve: async () => {
        throw Object.assign(new Error("getaddrinfo EAI_AGAIN a.example"), { code: "EAI_AGAIN" });
      },
    });
    const fault = await thrownBy(failing.get("http://a.example/", MAX));
    expect(fault).toMatchObject({ name: "UpstreamFault", message: expect.stringContaining("EAI_AGAIN") });
    const { fetcher } = strict();
    expect(await thrownBy(fetcher.get("http://a.example/", MAX))).toMatchObject({ name: "UpstreamFault" });
  });

  test("is asked of the system where no other resolver is given", async () => {
    const site = await hello();
    expect((await fetchBytes(openFetcher(), `http://localhost:${site.port}/`, MAX)).bytes.toString()).toBe("hello");
  });
});
