import { expect, test } from "vitest";
import { useContext } from "../../functions/context.ts";
import { handler as worker } from "../../functions/worker.ts";
import { commitDelta } from "../../shared/commit.ts";
import { publishRepo } from "../../shared/publication/publish.ts";
import { fetchFile } from "../../shared/sync/on-demand.ts";
import type { FileRef } from "../../shared/tree/entry.ts";
import { commitPackages, packageEntry, repoInMemory, repoOf, TYPES } from "../support/memory-repos.ts";
import { askFiles, farEntry, fetches, hashOf, upstreamInMemory, working } from "../support/on-demand.ts";
import { openUpstream, thrownBy } from "../support/upstream-site.ts";

const H = hashOf("hello");
const OURS = `http://packhouse.test/blobs/${H.slice(0, 2)}/${H}/hello`;
const FAR = "http://far.test/repository";
const pathOf = (type: (typeof TYPES)[number], ref = "") =>
  type === "dir" ? `/dir/tools${ref}/hello` : `/${type}/tools${ref}/pool/${H}/hello`;

/** A published repo with one package that is not ours. */
async function repoWith(type: (typeof TYPES)[number], file: Partial<FileRef>, path = FAR) {
  const { ctx, ref } = await repoInMemory(type);
  await upstreamInMemory(ctx, type, path);
  await commitPackages(ctx, ref, [farEntry(type, "hello", file)]);
  await publishRepo(ctx, ref);
  return { ctx, ref };
}

const EVERYWHERE = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox",
};

test.each(TYPES)("a package that is not ours yet is to be had from the upstream, and copied (%s)", async (type) => {
  const { ctx } = await repoWith(type, { url: `${FAR}/pool/hello+1.deb` });
  const headers = { location: `${FAR}/pool/hello+1.deb`, "cache-control": "no-store", ...EVERYWHERE };
  for (const ref of ["", "@1", "@latest", "@2027-01-01T00:00Z"])
    expect(await askFiles(ctx, pathOf(type, ref))).toEqual({ statusCode: 302, headers });
  // Once is enough, whoever asks.
  expect(fetches(ctx)).toEqual([{ name: "tools", commit: 1, sha256: H }]);
});

test.each(TYPES)("what the repo does not hold at that commit is nowhere (%s)", async (type) => {
  const { ctx } = await repoWith(type, { url: `${FAR}/hello` });
  const missing = type === "dir" ? "/dir/tools/other" : `/${type}/tools/pool/${hashOf("other")}/hello`;
  for (const path of [missing, pathOf(type, "@0"), pathOf(type, "@9"), pathOf(type).replace("tools", "others")]) {
    const answer = await askFiles(ctx, path);
    expect([path, answer.statusCode]).toEqual([path, 404]);
    expect(answer.headers).toMatchObject({ "cache-control": "no-store", ...EVERYWHERE });
  }
  expect(fetches(ctx)).toEqual([]);
});

test("a blob of no repo, and an index by its hash, are nowhere", async () => {
  const { ctx } = await repoWith("apt", { url: `${FAR}/hello` });
  for (const path of [`/blobs/${H.slice(0, 2)}/${H}/hello`, `/apt/tools/dists/stable/by-hash/SHA256/${H}`])
    expect((await askFiles(ctx, path)).statusCode).toBe(404);
});

test("a package that nobody says where to find is nowhere, and nobody waits for it", async () => {
  const { ctx } = await repoWith("apt", {});
  const start = performance.now();
  expect((await askFiles(ctx, pathOf("apt"), { waitMs: 20_000 })).statusCode).toBe(404);
  expect(performance.now() - start).toBeLessThan(5_000);
});

test("what a client's index named and the head has no more is found in the publications before", async () => {
  const { ctx, ref } = await repoWith("apt", { url: `${FAR}/hello` });
  const terms = { by: "somebody", message: "remove" };
  for (let round = 0; round < 4; round += 1) {
    const remove = round === 0 ? [farEntry("apt", "hello").key] : [];
    const put = [{ entry: packageEntry("apt", `new${round}`), replace: false }];
    await commitDelta(ctx, await repoOf(ctx, ref), { put, remove }, terms);
    ctx.clock.ms += 2_000;
    await publishRepo(ctx, ref);
  }
  expect((await askFiles(ctx, pathOf("apt"))).statusCode).toBe(302);
  expect(fetches(ctx)).toEqual([{ name: "tools", commit: 1, sha256: H }]);
  expect((await askFiles(ctx, pathOf("apt", "@5"))).statusCode).toBe(404);
  // Bounded: who asks for what has been gone for long is not searched for without end.
  for (let round = 4; round < 6; round += 1) {
    await commitPackages(ctx, ref, [packageEntry("apt", `new${round}`)]);
    ctx.clock.ms += 2_000;
    await publishRepo(ctx, ref);
  }
  expect((await askFiles(ctx, pathOf("apt"))).statusCode).toBe(404);
});

test("50 at once ask for one copy, and all get it from us", async () => {
  const site = await openUpstream((_, response) => void response.end("hello"));
  const { ctx } = await repoWith("apt", { url: `${site.origin}/hello` }, "http://user:secret@127.0.0.1/");
  working(ctx);
  const answers = await Promise.all(Array.from({ length: 50 }, () => askFiles(ctx, pathOf("apt"))));
  for (const answer of answers) {
    expect(answer).toEqual({
      statusCode: 302,
      headers: { location: OURS, "cache-control": "no-store", ...EVERYWHERE },
    });
  }
  expect([fetches(ctx).length, site.requests.length]).toEqual([1, 1]);
});

test.each([
  ["plain HTTP, where we speak HTTPS", "http://ORIGIN/hello", "https://packhouse.test"],
  ["a query, which may be a secret", "http://ORIGIN/hello?token=secret", undefined],
])("no client is sent to %s: it gets our copy", async (_, url, publicUrl) => {
  const site = await openUpstream((__, response) => void response.end("hello"));
  const { ctx } = await repoWith("apt", { url: url.replace("http://ORIGIN", site.origin) });
  if (publicUrl) Object.assign(ctx, { publicUrl });
  const answer = await askFiles(working(ctx), pathOf("apt"));
  expect(answer.headers.location).toBe(OURS.replace("http://packhouse.test", publicUrl ?? "http://packhouse.test"));
});

test.each([
  ["a bucket", "s3://bucket/hello"],
  ["a scheme of its own", "javascript:alert(1)"],
  ["a file", "file:///etc/passwd"],
  ["what is no URL", "hello"],
  ["credentials in a URL", "http://user:secret@far.test/hello"],
])("no client is sent to %s", async (_, url) => {
  const { ctx } = await repoWith("apt", { url });
  const answer = await askFiles(ctx, pathOf("apt"), { waitMs: 50 });
  expect(answer.statusCode).toBe(503);
  expect(JSON.stringify(answer)).not.toContain("secret");
});

test("a copy that is not there in time is to be asked for later, and is there then", async () => {
  const { ctx } = await repoWith("apt", { url: `${FAR}/hello` }, "http://user:secret@far.test/");
  const start = performance.now();
  const answer = await askFiles(ctx, pathOf("apt"), { waitMs: 300 });
  expect(performance.now() - start).toBeGreaterThanOrEqual(299);
  expect(answer.statusCode).toBe(503);
  expect(answer.headers).toMatchObject({ "cache-control": "no-store", "retry-after": "10", ...EVERYWHERE });
  await ctx.objects.putBlob(Buffer.from("hello"));
  expect((await askFiles(ctx, pathOf("apt"))).headers).toMatchObject({ location: OURS, "cache-control": "no-store" });
});

test("a queue that does not take the message is a fault of ours, and is asked again", async () => {
  const { ctx } = await repoWith("apt", { url: `${FAR}/hello` });
  const { worker } = ctx.queues;
  const broken = Object.assign(ctx, { queues: { ...ctx.queues, worker: () => Promise.reject(new Error("down")) } });
  expect((await askFiles(broken, pathOf("apt"))).statusCode).toBe(503);
  Object.assign(ctx, { queues: { ...ctx.queues, worker } });
  expect((await askFiles(ctx, pathOf("apt"))).statusCode).toBe(302);
  expect(fetches(ctx)).toHaveLength(1);
});

test("an upstream that is gone had the only credentials: its address without them is what is left", async () => {
  const { ctx } = await repoWith("apt", { url: `${FAR}/hello`, upstream: "gone" });
  expect((await askFiles(ctx, pathOf("apt"))).headers.location).toBe(`${FAR}/hello`);
});

test("the copy takes the credentials of its upstream, and to that origin alone", async () => {
  const other = await openUpstream((_, response) => void response.writeHead(404).end());
  const site = await openUpstream((_, response) => void response.end("hello"));
  const { ctx, ref } = await repoWith("apt", {}, site.origin.replace("//", "//user:secret@"));
  await commitPackages(ctx, ref, [
    { ...farEntry("apt", "hello", { url: `${other.origin}/hello` }), key: "other/main/amd64/hello_1" },
    { ...farEntry("apt", "hello", { url: `${site.origin}/hello` }), key: "third/main/amd64/hello_1" },
  ]);
  const message = { ...ref, commit: 2, sha256: H };
  await fetchFile(working(ctx), message);
  expect(String(Buffer.from(await ctx.objects.getBlob(H)))).toBe("hello");
  expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  expect(site.requests.map(({ headers }) => headers.authorization)).toEqual([
    `Basic ${Buffer.from("user:secret").toString("base64")}`,
  ]);
  // What is ours is not fetched again.
  await fetchFile(ctx, message);
  expect(site.requests).toHaveLength(1);
});

test("other bytes than the hash says are for good, no blob comes of them; a commit that is no more asks nobody", async () => {
  const site = await openUpstream((_, response) => void response.end("HELLO"));
  const { ctx, ref } = await repoWith("apt", { url: `${site.origin}/hello` });
  working(ctx);
  expect(await thrownBy(fetchFile(ctx, { ...ref, commit: 1, sha256: H }))).toMatchObject({
    name: "UpstreamError",
    reason: "checksum",
  });
  expect(ctx.blobs.held.has(H)).toBe(false);
  const asked = site.requests.length;
  await fetchFile(ctx, { ...ref, commit: 7, sha256: H });
  await fetchFile(ctx, { ...ref, name: "others", commit: 1, sha256: H });
  await fetchFile(ctx, { ...ref, commit: 1, sha256: hashOf("other") });
  expect(site.requests).toHaveLength(asked);
});

test("of several places the next is asked where one fails; a fault is worth a retry, whatever the others say", async () => {
  const gone = await openUpstream((_, response) => void response.writeHead(404).end());
  const away = await openUpstream((_, response) => void response.writeHead(503).end());
  const { ctx, ref } = await repoWith("apt", { url: `${away.origin}/hello` });
  await commitPackages(ctx, ref, [
    { ...farEntry("apt", "hello", { url: `${gone.origin}/hello` }), key: "third/main/amd64/hello_1" },
  ]);
  working(ctx);
  expect(await thrownBy(fetchFile(ctx, { ...ref, commit: 2, sha256: H }))).toMatchObject({ name: "UpstreamFault" });
  expect([gone.requests.length, away.requests.length > 0]).toEqual([1, true]);
});

test("a copy that is wrong for good ends its message; one that may succeed later comes again", async () => {
  let status = 404;
  const site = await openUpstream((_, response) => void response.writeHead(status).end());
  const { ctx, ref } = await repoWith("apt", { url: `${site.origin}/hello` });
  useContext(working(ctx));
  const record = {
    messageId: "m",
    receiptHandle: "",
    body: JSON.stringify({ kind: "fetch", ...ref, commit: 1, sha256: H }),
    attributes: {
      ApproximateReceiveCount: "1",
      SentTimestamp: "",
      SenderId: "",
      ApproximateFirstReceiveTimestamp: "",
    },
    messageAttributes: {},
    md5OfBody: "",
    eventSource: "aws:sqs",
    eventSourceARN: "arn:aws:sqs:::worker",
    awsRegion: "",
  };
  expect(await worker({ Records: [record] })).toEqual({ batchItemFailures: [] });
  status = 503;
  expect(await worker({ Records: [record] })).toEqual({ batchItemFailures: [{ itemIdentifier: "m" }] });
});

test("the files of a source package are found by the hash of its .dsc, and by that of no other file", async () => {
  const { ctx, ref } = await repoInMemory("apt");
  const names = ["a_1.dsc", "a_1.orig.tar.xz", "a_1.orig.tar.xz.asc", "a_1-1~x+b.debian.tar.xz"];
  const entry = {
    key: "stable/main/source/a_1-1",
    files: names.map((name) => ({ name, sha256: hashOf(name), sizeBytes: name.length, url: `${FAR}/${name}` })),
    chunks: { Sources: Buffer.from("Package: a\n\n") },
  };
  await commitPackages(ctx, ref, [entry, packageEntry("apt", "a_1.dsc")]);
  await publishRepo(ctx, ref);
  const folder = `source/${hashOf("a_1.dsc")}`;
  for (const name of names) {
    for (const ref of ["", "@1"]) {
      const answer = await askFiles(ctx, `/apt/tools${ref}/${folder}/${encodeURIComponent(name)}`);
      expect([name, answer.headers.location]).toEqual([name, `${FAR}/${name}`]);
    }
    await ctx.objects.putBlob(Buffer.from(name));
  }
  // What is ours stays where it is: a .dsc never names other files.
  const ours = await askFiles(ctx, `/apt/tools/${folder}/a_1.orig.tar.xz`);
  expect(ours.headers["cache-control"]).toContain("immutable");
  expect(ours.headers.location).toMatch(new RegExp(`/${hashOf("a_1.orig.tar.xz")}/a_1\\.orig\\.tar\\.xz$`));
  const dsc = await askFiles(ctx, `/apt/tools/${folder}/a_1.dsc`);
  expect([dsc.statusCode, Buffer.from(dsc.body ?? "", "base64").toString()]).toEqual([200, "a_1.dsc"]);
  for (const path of [
    `${folder}/other.dsc`,
    `source/${hashOf("a_1.orig.tar.xz")}/a_1.dsc`,
    `source/${hashOf("none")}/a_1.dsc`,
  ])
    expect([path, (await askFiles(ctx, `/apt/tools/${path}`)).statusCode]).toEqual([path, 404]);
  expect((await askFiles(ctx, `/apt/tools@0/${folder}/a_1.dsc`)).statusCode).toBe(404);
});

test("a directory may hold what looks like another repository's paths by hash: they are its own", async () => {
  const { ctx, ref } = await repoInMemory("dir");
  const paths = [`pool/${hashOf("x")}/a.deb`, `dists/s/by-hash/SHA256/${hashOf("y")}`, "a/b+c.tar.gz"];
  const entries = paths.map((path) => {
    const entry = farEntry("dir", path, { url: `${FAR}/${path}`, name: path.split("/").at(-1) ?? "" });
    return { ...entry, key: path.split("/").map(encodeURIComponent).join("/") };
  });
  await commitPackages(ctx, ref, entries);
  await publishRepo(ctx, ref);
  for (const path of paths) expect((await askFiles(ctx, `/dir/tools/${path}`)).headers.location).toBe(`${FAR}/${path}`);
  const byHash = `/dir/tools/pool/${hashOf("a/b+c.tar.gz")}/any`;
  expect((await askFiles(ctx, byHash)).headers.location).toBe(`${FAR}/a/b+c.tar.gz`);
  expect((await askFiles(ctx, `/dir/tools/pool/${hashOf("x")}/other`)).statusCode).toBe(404);
});

test("the listing of a directory at a commit is a page for people and a document for programs", async () => {
  const { ctx } = await repoWith("dir", { url: `${FAR}/hello` });
  const typeOf = async (path: string) => (await askFiles(ctx, `/dir/tools@1/${path}`)).headers["content-type"];
  expect([await typeOf(""), await typeOf("index.html")]).toEqual(Array(2).fill("text/html; charset=utf-8"));
  expect([await typeOf("index.json"), await typeOf("SHA256SUMS")]).toEqual([
    "application/json",
    "text/plain; charset=utf-8",
  ]);
});
