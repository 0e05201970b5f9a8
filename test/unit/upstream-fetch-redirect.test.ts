import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { fetchBytes } from "../../shared/upstream/fetch-bytes.ts";
import {
  certificateFor,
  openFetcher,
  openRaw,
  openUpstream,
  thrownBy,
  type UpstreamSite,
} from "../support/upstream-site.ts";

const MAX = { maxBytes: 1000 };

/** Redirects from the paths in the map; says hello at all others. */
async function openRedirects(to: Record<string, string | (() => string)>, status = 302): Promise<UpstreamSite> {
  return openUpstream((request, response) => {
    const location = to[request.url ?? ""];
    if (location === undefined) response.end("hello");
    else response.writeHead(status, { Location: typeof location === "string" ? location : location() }).end("moved");
  });
}

const linesOf = (site: UpstreamSite) => site.requests.map(({ line }) => line);
const credentialsSeen = (site: UpstreamSite) => site.requests.map(({ headers }) => headers.authorization);

test.each([301, 302, 303, 307, 308])("a %d is followed", async (status) => {
  const site = await openRedirects({ "/a": "/b" }, status);
  const { finalUrl, bytes } = await fetchBytes(openFetcher(), `${site.origin}/a`, MAX);
  expect(finalUrl).toBe(`${site.origin}/b`);
  expect(bytes.toString()).toBe("hello");
});

test("a location may be absolute, relative, another host's, with a fragment or beyond ASCII", async () => {
  const other = await openRedirects({});
  const raw = Buffer.from("/ü").toString("latin1");
  const site = await openRedirects({
    "/d/a": "b?c",
    "/d/b?c": "../e#f",
    "/e": raw,
    "/%C3%BC": `//127.0.0.1:${other.port}/end`,
  });
  const { finalUrl } = await fetchBytes(openFetcher(), `${site.origin}/d/a`, MAX);
  expect(finalUrl).toBe(`${other.origin}/end`);
  expect(linesOf(site)).toEqual(["GET /d/a", "GET /d/b?c", "GET /e", "GET /%C3%BC"]);
  // What a redirect says is read to its end, so that its connection serves the next one.
  expect(site.connections.made).toBe(1);
});

test("five redirects are followed, a sixth is refused", async () => {
  const steps = Array.from({ length: 6 }, (_, i) => [`/${i}`, `/${i + 1}`]);
  const site = await openRedirects(Object.fromEntries(steps));
  const fetcher = openFetcher();
  await fetchBytes(fetcher, `${site.origin}/1`, MAX);
  expect(linesOf(site)).toHaveLength(6);
  expect(await thrownBy(fetcher.get(`${site.origin}/0`, MAX))).toMatchObject({ reason: "redirect" });
  expect(linesOf(site)).toHaveLength(12);
});

test.each([
  ["file:///etc/passwd", "scheme"],
  ["ftp://127.0.0.1/", "scheme"],
  ["http://127.0.0.1:6379/", "port"],
  ["http://127.0.0.1:99999/", "redirect"],
])("a redirect to %s is refused: %s", async (location, reason) => {
  const site = await openRedirects({ "/a": location });
  expect(await thrownBy(openFetcher().get(`${site.origin}/a`, MAX))).toMatchObject({ name: "UpstreamError", reason });
});

test("a redirect that leads nowhere is told as what it is", async () => {
  const site = await openUpstream((_, response) => {
    response.writeHead(302).end();
  });
  expect(await thrownBy(openFetcher().get(site.origin, MAX))).toMatchObject({ reason: "status", status: 302 });
});

test("a huge page with a redirect is not read", async () => {
  const site = await openUpstream((request, response) => {
    if (request.url === "/b") return void response.end("hello");
    response.writeHead(302, { Location: "/b", "Content-Length": 1e12 });
    response.write("x");
  });
  expect((await fetchBytes(openFetcher(), `${site.origin}/a`, MAX)).bytes.toString()).toBe("hello");
});

test("an endless page with a redirect is not read", async () => {
  let sent = 0;
  const site = await openUpstream((request, response) => {
    if (request.url === "/b") return void response.end("hello");
    response.writeHead(302, { Location: "/b" });
    const chunk = Buffer.alloc(64 * 1024);
    const send = () => {
      sent += chunk.length;
      response.write(chunk);
    };
    response.on("drain", send);
    send();
  });
  expect((await fetchBytes(openFetcher(), `${site.origin}/a`, MAX)).bytes.toString()).toBe("hello");
  // What the kernel's buffers hold.
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});

describe("from http to https and back", () => {
  const certificate = certificateFor("secure.example");
  const options = { ca: [certificate.cert], resolve: async () => ["127.0.0.1"] };

  test("https is never left for http", async () => {
    const plain = await openRedirects({});
    const secure = await openUpstream(
      (_, response) => {
        response.writeHead(302, { Location: `${plain.origin}/b?key=1` }).end();
      },
      { certificate },
    );
    const error = await thrownBy(openFetcher(options).get(`https://secure.example:${secure.port}/a`, MAX));
    expect(error).toMatchObject({ reason: "scheme", message: expect.stringContaining("/b?…): expected https") });
    expect(plain.requests).toEqual([]);
  });

  test("what began as http may go through https, and out again", async () => {
    let secure = "";
    const plain = await openRedirects({ "/a": () => `${secure}/b` });
    const site = await openUpstream(
      (_, response) => {
        response.writeHead(302, { Location: `${plain.origin}/c` }).end();
      },
      { certificate },
    );
    secure = `https://secure.example:${site.port}`;
    const { finalUrl } = await fetchBytes(openFetcher(options), `${plain.origin}/a`, MAX);
    expect(finalUrl).toBe(`${plain.origin}/c`);
  });
});

describe("credentials in the URL", () => {
  const BASIC = `Basic ${btoa("user:s3cret")}`;
  const withCredentials = (site: UpstreamSite, path: string) => `${site.origin.replace("//", "//user:s3cret@")}${path}`;

  test("go to their origin, along its own redirects too, and are not shown", async () => {
    const site = await openRedirects({ "/a": "/b" });
    const { finalUrl } = await fetchBytes(openFetcher(), withCredentials(site, "/a"), MAX);
    expect(credentialsSeen(site)).toEqual([BASIC, BASIC]);
    expect(finalUrl).toBe(`${site.origin}/b`);
  });

  test("do not go to another port, host or scheme", async () => {
    const port = await openRedirects({});
    const secure = await openUpstream((_, response) => void response.end("x"), {
      certificate: certificateFor("a.example"),
    });
    const site = await openRedirects({
      "/port": `${port.origin}/`,
      "/host": () => `http://b.example:${site.port}/x`,
      "/scheme": `https://a.example:${secure.port}/`,
    });
    const fetcher = openFetcher({ resolve: async () => ["127.0.0.1"] });
    await fetchBytes(fetcher, withCredentials(site, "/port"), MAX);
    await fetchBytes(fetcher, withCredentials(site, "/host"), MAX);
    await thrownBy(fetcher.get(withCredentials(site, "/scheme"), MAX));
    expect(credentialsSeen(site)).toEqual([BASIC, BASIC, undefined, BASIC]);
    expect(credentialsSeen(port)).toEqual([undefined]);
    expect(credentialsSeen(secure).filter(Boolean)).toEqual([]);
  });

  test("do not go from http to https at the same host and port", async () => {
    const certificate = certificateFor("a.example");
    const secure = await openUpstream((_, response) => void response.end("hello"), { certificate });
    const plain = await openUpstream((_, response) => {
      response.writeHead(302, { Location: `https://a.example:${both.port}/b` }).end();
    });
    // One port for both, as 80 and 443 are where a URL names none: a TLS record begins with 22.
    const both = await openRaw((socket) => {
      socket.once("data", (first) => {
        const behind = connect(first[0] === 22 ? secure.port : plain.port, "127.0.0.1");
        behind.write(first);
        socket.pipe(behind).pipe(socket);
        behind.on("error", () => socket.destroy());
      });
    });
    const fetcher = openFetcher({ resolve: async () => ["127.0.0.1"], ca: [certificate.cert] });
    await fetchBytes(fetcher, `http://user:s3cret@a.example:${both.port}/a`, MAX);
    expect(credentialsSeen(plain)).toEqual([BASIC]);
    expect(credentialsSeen(secure)).toEqual([undefined]);
  });

  test("do not come back with one who was elsewhere, who chose where", async () => {
    const away = await openRedirects({ "/": () => `${site.origin}/chosen` });
    const site: UpstreamSite = await openRedirects({ "/a": `${away.origin}/`, "/chosen": "/again" });
    await fetchBytes(openFetcher(), withCredentials(site, "/a"), MAX);
    expect(linesOf(site)).toEqual(["GET /a", "GET /chosen", "GET /again"]);
    expect(credentialsSeen(site)).toEqual([BASIC, undefined, undefined]);
  });

  test("that a redirect brings along are nobody's", async () => {
    const other = await openRedirects({});
    const site = await openRedirects({ "/a": `${other.origin.replace("//", "//x:y@")}/b` });
    const { finalUrl } = await fetchBytes(openFetcher(), `${site.origin}/a`, MAX);
    expect(finalUrl).toBe(`${other.origin}/b`);
    expect(credentialsSeen(other)).toEqual([undefined]);
  });

  test("stand in no error", async () => {
    const site = await openUpstream((request, response) => {
      const path = request.url ?? "";
      if (path === "/cut") response.writeHead(200, { "Content-Length": 9 }).write("x", () => response.destroy());
      else if (path === "/away") response.writeHead(302, { Location: "http://x:s3cret@127.0.0.1:22/" }).end();
      else if (path === "/reset") response.destroy();
      else if (path === "/coded") response.writeHead(200, { "Content-Encoding": "br" }).end();
      else if (path === "/large") response.end("x".repeat(2000));
      else response.writeHead(Number(path.slice(1))).end();
    });
    const fetcher = openFetcher();
    const paths = ["/404", "/503", "/cut", "/away", "/reset", "/coded", "/large"].map((path) =>
      withCredentials(site, path),
    );
    const bad = [
      "http://user:s3cret@host:22/",
      "ftp://user:s3cret@host/",
      "http://user:s3cret@ho st/",
      "user:s3cret@host",
    ];
    const closed = "http://user:s3cret@127.0.0.1:1024/";
    for (const url of [...paths, ...bad, closed]) {
      const error = (await thrownBy(() => fetchBytes(fetcher, url, MAX))) as Error;
      expect(error.name).toMatch(/^Upstream/);
      expect([url, `${error.stack} ${error.cause} ${JSON.stringify(error)}`]).toEqual([
        url,
        expect.not.stringContaining("s3cret"),
      ]);
      expect(JSON.stringify(error)).not.toContain(btoa("user:s3cret"));
    }
  });
});
