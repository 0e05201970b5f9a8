import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { fetchBytes } from "../../shared/upstream/fetch-bytes.ts";
import { openFetcher, openRaw, openUpstream, textOf, thrownBy } from "../support/upstream-site.ts";

const MAX = { maxBytes: 1000 };

/** A promise and what fulfils it. */
function signal<T = void>() {
  return Promise.withResolvers<T>();
}

async function bodyAt(fetcher: ReturnType<typeof openFetcher>, url: string, maxBytes = 1000, abort?: AbortSignal) {
  const answer = await fetcher.get(url, { maxBytes, signal: abort });
  if (answer.status === 304) throw new Error("not modified");
  return answer;
}

test("a server is not let send faster than it is read", async () => {
  const CHUNK = Buffer.alloc(64 * 1024);
  const CHUNKS = 4096;
  let sent = 0;
  const held = signal<"held">();
  const site = await openUpstream(async (_, response) => {
    for (; sent < CHUNKS; sent++) {
      if (response.write(CHUNK)) continue;
      const timer = setTimeout(() => held.resolve("held"), 300);
      await once(response, "drain");
      clearTimeout(timer);
    }
    response.end();
  });
  const { body } = await bodyAt(openFetcher(), site.origin, CHUNK.length * CHUNKS);
  const chunks = body[Symbol.asyncIterator]();
  let read = (await chunks.next()).value?.length ?? 0;
  expect(await held.promise).toBe("held");
  // What the kernel's buffers hold, of 256 MB.
  expect(sent).toBeLessThan(CHUNKS / 4);
  for (let step = await chunks.next(); !step.done; step = await chunks.next()) read += step.value.length;
  expect(read).toBe(CHUNK.length * CHUNKS);
});

describe("connections", () => {
  /** Answers when told to, in the order of the requests. */
  async function openHeld() {
    const waiting: { path: string; answer: () => void }[] = [];
    let wake = signal();
    const site = await openUpstream((request, response) => {
      waiting.push({ path: request.url ?? "", answer: () => void response.end("hello") });
      wake.resolve();
      wake = signal();
    });
    const next = async () => {
      while (waiting.length === 0) await wake.promise;
      return waiting.shift() as (typeof waiting)[number];
    };
    return { site, next, waiting };
  }

  test("are so many to a host and no more, and who came first is served first", async () => {
    const { site, next, waiting } = await openHeld();
    const fetcher = openFetcher({ maxPerHost: 2, resolve: async () => ["127.0.0.1"] });
    const all = Array.from({ length: 6 }, (_, i) => fetchBytes(fetcher, `http://a.example:${site.port}/${i}`, MAX));
    const asked = [await next(), await next()];
    // Another host does not wait for this one's; and when its answer is here, a third request would be too.
    const other = fetchBytes(fetcher, `http://b.example:${site.port}/other`, MAX);
    const marker = await next();
    expect(marker.path).toBe("/other");
    marker.answer();
    await other;
    expect(waiting).toEqual([]);
    for (let i = 0; i < 6; i++) {
      asked[i]?.answer();
      if (asked.length < 6) asked.push(await next());
    }
    await Promise.all(all);
    expect(asked.map(({ path }) => path)).toEqual(["/0", "/1", "/2", "/3", "/4", "/5"]);
    expect(site.connections.made).toBe(3);
  });

  test("are four to a host unless told otherwise", async () => {
    const { site, next } = await openHeld();
    const fetcher = openFetcher();
    const all = Array.from({ length: 9 }, (_, i) => fetchBytes(fetcher, `${site.origin}/${i}`, MAX));
    for (let i = 0; i < 9; i++) (await next()).answer();
    await Promise.all(all);
    expect(site.connections).toMatchObject({ made: 4, most: 4 });
  });

  test("count until the body has been read, cancelled, left or aborted", async () => {
    const site = await openUpstream((request, response) => {
      if (request.url === "/chunked") response.flushHeaders();
      response.end("x".repeat(500));
    });
    const fetcher = openFetcher({ maxPerHost: 1, resolve: async () => ["127.0.0.1"] });
    const url = `http://a.example:${site.port}/`;
    const first = await bodyAt(fetcher, url);
    const second = bodyAt(fetcher, `${url}second`);
    await fetchBytes(fetcher, `http://b.example:${site.port}/marker`, MAX);
    expect(site.requests.map(({ line }) => line)).toEqual(["GET /", "GET /marker"]);
    await textOf(first.body);
    (await second).cancel();
    for await (const _ of (await bodyAt(fetcher, url)).body) break;
    const abort = new AbortController();
    await bodyAt(fetcher, url, 1000, abort.signal);
    abort.abort();
    await thrownBy(fetchBytes(fetcher, `${url}chunked`, { maxBytes: 3 }));
    await thrownBy(fetcher.get(url, { maxBytes: 3 }));
    await thrownBy(fetchBytes(fetcher, "http://a.example:1024/", MAX));
    expect((await fetchBytes(fetcher, url, MAX)).bytes).toHaveLength(500);
  });

  test("to two ports are to one host", async () => {
    const [one, two] = await Promise.all([openHeld(), openHeld()]);
    const fetcher = openFetcher({ maxPerHost: 1, resolve: async () => ["127.0.0.1"] });
    const first = fetchBytes(fetcher, `http://a.example:${one.site.port}/`, MAX);
    const held = await one.next();
    const second = fetchBytes(fetcher, `http://a.example:${two.site.port}/second`, MAX);
    const marker = fetchBytes(fetcher, `http://b.example:${two.site.port}/marker`, MAX);
    const { path, answer } = await two.next();
    expect(path).toBe("/marker");
    answer();
    await marker;
    expect(two.waiting).toEqual([]);
    held.answer();
    (await two.next()).answer();
    await Promise.all([first, second]);
  });

  test("are used again, after a 404 and a 304 too", async () => {
    const site = await openUpstream((request, response) => {
      response.writeHead(Number(request.url?.slice(1)));
      response.end(request.url === "/304" ? undefined : "hello");
    });
    const fetcher = openFetcher();
    for (const status of [200, 404, 304, 503, 200])
      await fetcher.get(`${site.origin}/${status}`, { ...MAX, etag: '"1"' }).then(
        (answer) => (answer.status === 304 ? undefined : textOf(answer.body)),
        () => {},
      );
    expect(site.requests).toHaveLength(5);
    expect(site.connections.made).toBe(1);
  });

  test("that the server closed while they were kept are no fault", async () => {
    const site = await openRaw((socket, nth) => {
      let requests = 0;
      socket.on("data", () => {
        requests++;
        if (requests === 2) socket.resetAndDestroy();
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${nth}`);
      });
    });
    const fetcher = openFetcher();
    expect((await fetchBytes(fetcher, site.origin, MAX)).bytes.toString()).toBe("1");
    expect((await fetchBytes(fetcher, site.origin, MAX)).bytes.toString()).toBe("2");
    expect(site.connections.made).toBe(2);
  });
});

describe("a signal ends", () => {
  const reason = new Error("enough");

  test("what has not begun, waits for its turn, for an answer or for bytes", async () => {
    const asked = signal();
    const site = await openUpstream((request, response) => {
      if (request.url === "/body") response.write("hello");
      asked.resolve();
    });
    const fetcher = openFetcher({ maxPerHost: 1 });
    expect(await thrownBy(fetcher.get(site.origin, { ...MAX, signal: AbortSignal.abort(reason) }))).toBe(reason);

    const answer = new AbortController();
    const first = thrownBy(fetcher.get(`${site.origin}/answer`, { ...MAX, signal: answer.signal }));
    await asked.promise;
    const turn = new AbortController();
    const second = thrownBy(fetcher.get(`${site.origin}/turn`, { ...MAX, signal: turn.signal }));
    turn.abort(reason);
    expect(await second).toBe(reason);
    answer.abort(reason);
    expect(await first).toBe(reason);

    const reading = new AbortController();
    const { body } = await bodyAt(fetcher, `${site.origin}/body`, 1000, reading.signal);
    const chunks = body[Symbol.asyncIterator]();
    expect((await chunks.next()).value).toHaveLength(5);
    const last = thrownBy(chunks.next());
    reading.abort(reason);
    expect(await last).toBe(reason);
    expect(site.requests.map(({ line }) => line)).toEqual(["GET /answer", "GET /body"]);
  });

  test("while nobody reads, and is told to the next who does", async () => {
    const site = await openUpstream((_, response) => void response.write("hello"));
    const abort = new AbortController();
    const { body } = await bodyAt(openFetcher(), site.origin, 1000, abort.signal);
    abort.abort("a word");
    expect(await thrownBy(textOf(body))).toBe("a word");
  });
});
