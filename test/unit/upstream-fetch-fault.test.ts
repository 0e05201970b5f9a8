import { describe, expect, test } from "vitest";
import { fetchBytes } from "../../shared/upstream/fetch-bytes.ts";
import { certificateFor, openFetcher, openRaw, openUpstream, thrownBy } from "../support/upstream-site.ts";

const MAX = { maxBytes: 1000 };

describe("silence is a fault", () => {
  test("of a resolver", async () => {
    const fetcher = openFetcher({ connectTimeoutMs: 20, resolve: () => new Promise(() => {}) });
    const fault = await thrownBy(fetcher.get("http://slow.example/", MAX));
    expect(fault).toMatchObject({
      name: "UpstreamFault",
      message: expect.stringMatching(/a connection within 20 ms, got none$/),
    });
  });

  test("of a server that does not shake hands", async () => {
    const site = await openRaw(() => {});
    const fetcher = openFetcher({ connectTimeoutMs: 20, idleTimeoutMs: 60_000 });
    const fault = await thrownBy(fetcher.get(`https://127.0.0.1:${site.port}/`, MAX));
    expect(fault).toMatchObject({
      name: "UpstreamFault",
      message: expect.stringContaining("a connection within 20 ms"),
    });
  });

  test("of a server that does not answer", async () => {
    const site = await openRaw(() => {});
    const fetcher = openFetcher({ idleTimeoutMs: 20 });
    const fault = await thrownBy(fetcher.get(site.origin, MAX));
    expect(fault).toMatchObject({
      name: "UpstreamFault",
      message: expect.stringMatching(/an answer within 20 ms, got none$/),
    });
  });

  test("in the midst of a body, which tells how far it came", async () => {
    const site = await openUpstream((_, response) => {
      response.writeHead(200, { "Content-Length": 9 });
      response.write("hello");
    });
    const fault = await thrownBy(fetchBytes(openFetcher({ idleTimeoutMs: 300 }), site.origin, MAX));
    expect(fault).toMatchObject({
      name: "UpstreamFault",
      message: expect.stringMatching(/more bytes within 300 ms, got none after 5$/),
    });
  });

  test("is measured from the connection, a new one or one that is kept", async () => {
    const site = await openUpstream((_, response) => void setTimeout(() => response.end("hello"), 1_000));
    const fetcher = openFetcher({ connectTimeoutMs: 800 });
    for (let i = 0; i < 2; i++) expect((await fetchBytes(fetcher, site.origin, MAX)).bytes.toString()).toBe("hello");
    expect(site.connections.made).toBe(1);
  });

  test("but not of the one who reads", async () => {
    const site = await openUpstream((_, response) => {
      response.write("hello");
      response.end("world");
    });
    const answer = await openFetcher({ idleTimeoutMs: 300 }).get(site.origin, MAX);
    if (answer.status === 304) throw new Error("not modified");
    let text = "";
    for await (const chunk of answer.body) {
      text += Buffer.from(chunk).toString();
      await new Promise((resolve) => setTimeout(resolve, 450));
    }
    expect(text).toBe("helloworld");
  });
});

describe("an answer that breaks off is a fault", () => {
  const HEAD = "HTTP/1.1 200 OK\r\n";
  test.each([
    ["before it began", ""],
    ["in its head", HEAD],
    ["that is no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["with two lengths", `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["before its length", `${HEAD}Content-Length: 9\r\n\r\nhello`],
    ["before its first byte", `${HEAD}Content-Length: 9\r\n\r\n`],
    ["before its last chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
    ["in a chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\nhello`],
    ["for another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
  ])("%s", async (_, text) => {
    const site = await openRaw((socket) => {
      socket.once("data", () => socket.end(text));
    });
    const fault = await thrownBy(() => fetchBytes(openFetcher(), site.origin, MAX));
    expect(fault).toMatchObject({ name: "UpstreamFault", url: `${site.origin}/` });
  });

  test("by a reset", async () => {
    const site = await openRaw((socket) => {
      socket.once("data", () => socket.write(`${HEAD}Content-Length: 9\r\n\r\nhello`, () => socket.resetAndDestroy()));
    });
    expect(await thrownBy(() => fetchBytes(openFetcher(), site.origin, MAX))).toMatchObject({ name: "UpstreamFault" });
  });

  test("but one of no told length ends with its connection", async () => {
    const site = await openRaw((socket) => {
      socket.once("data", () => socket.end(`${HEAD}\r\nhello`));
    });
    expect((await fetchBytes(openFetcher(), site.origin, MAX)).bytes.toString()).toBe("hello");
  });

  test("where nobody listens", async () => {
    const fault = await thrownBy(openFetcher().get("http://127.0.0.1:1024/", MAX));
    expect(fault).toMatchObject({ name: "UpstreamFault", message: expect.stringContaining("ECONNREFUSED") });
  });

  test("at each of several addresses, and tells each", async () => {
    const fetcher = openFetcher({ resolve: async () => ["127.0.0.1", "127.0.0.2"] });
    const fault = await thrownBy(fetcher.get("http://a.example:1024/", MAX));
    expect(fault).toMatchObject({
      name: "UpstreamFault",
      message: expect.stringMatching(/127\.0\.0\.1:1024.*127\.0\.0\.2:1024/),
    });
  });

  test("bytes beyond the length are nobody's answer", async () => {
    const site = await openRaw((socket) => {
      socket.on("data", () =>
        socket.write(`${HEAD}Content-Length: 5\r\n\r\nhello${HEAD}Content-Length: 4\r\n\r\nevil`),
      );
    });
    const fetcher = openFetcher();
    expect((await fetchBytes(fetcher, site.origin, MAX)).bytes.toString()).toBe("hello");
    expect((await fetchBytes(fetcher, site.origin, MAX)).bytes.toString()).toBe("hello");
  });
});

describe("https", () => {
  const certificate = certificateFor("secure.example");
  const open = () => openUpstream((_, response) => void response.end("hello"), { certificate });
  const resolve = async () => ["127.0.0.1"];

  test("proves the host by its name, whatever address it has", async () => {
    const site = await open();
    const fetcher = openFetcher({ resolve, ca: [certificate.cert] });
    for (const host of ["secure.example", "secure.example."])
      expect((await fetchBytes(fetcher, `https://${host}:${site.port}/`, MAX)).bytes.toString()).toBe("hello");
    expect(site.connections.made).toBe(1);
    expect(site.requests[0]?.headers.host).toBe(`secure.example:${site.port}`);
  });

  test.each(["other.example", "127.0.0.1"])("of another name (%s) is refused for good", async (host) => {
    const site = await open();
    const error = await thrownBy(
      openFetcher({ resolve, ca: [certificate.cert] }).get(`https://${host}:${site.port}/`, MAX),
    );
    expect(error).toMatchObject({ name: "UpstreamError", reason: "certificate" });
    expect(site.requests).toEqual([]);
  });

  test("that nobody trusted vouches for is refused for good", async () => {
    const site = await open();
    const error = await thrownBy(openFetcher({ resolve }).get(`https://secure.example:${site.port}/`, MAX));
    expect(error).toMatchObject({ name: "UpstreamError", reason: "certificate" });
    expect(site.requests).toEqual([]);
  });

  test("spoken to one who speaks http is a fault", async () => {
    const site = await openUpstream((_, response) => void response.end("hello"));
    const error = await thrownBy(openFetcher({ resolve }).get(`https://secure.example:${site.port}/`, MAX));
    expect(error).toMatchObject({ name: "UpstreamFault" });
  });
});
