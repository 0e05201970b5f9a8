import fc from "fast-check";
import { expect, test } from "vitest";
import { blobHeadersFor, handler } from "../../functions/edge.ts";
import { sha256Of } from "../../shared/blob.ts";

const H = sha256Of("bytes");
const AT = `/blobs/${H.slice(0, 2)}/${H}`;

test.each([
  ["hello_2.10-3_amd64.deb", "application/vnd.debian.binary-package"],
  ["di_1_amd64.udeb", "application/vnd.debian.binary-package"],
  ["a-1-1.x86_64.rpm", "application/x-rpm"],
  ["A.RPM", "application/x-rpm"],
  ["a_1.dsc", "text/plain; charset=utf-8"],
  ["a_1_amd64.changes", "text/plain; charset=utf-8"],
  ["a_1.orig.tar.xz", "application/x-xz"],
  ["a.tar.gz", "application/gzip"],
  ["a.tar.zst", "application/zstd"],
  ["a.json", "application/json"],
  ["a", undefined],
  ["a.unknown", undefined],
  ["__proto__", undefined],
  ["a.constructor", undefined],
  ["a.tostring", undefined],
])("a blob that is asked for as %s is of type %s", (name, type) => {
  expect(blobHeadersFor(`${AT}/${name}`)).toEqual({ type, disposition: `attachment; filename="${name}"` });
  expect(blobHeadersFor(`/apt/tools/pool/${H}/${name}`)?.type).toBe(type);
});

test.each(["html", "htm", "xhtml", "svg", "xml", "js", "mjs", "css", "wasm"])(
  "no name makes a blob something that a browser runs: .%s",
  (ending) => {
    expect(blobHeadersFor(`${AT}/a.${ending}`)?.type).toBeUndefined();
  },
);

test.each([
  ["g%2b%2b_4%3a14~exp^1=a@b.deb", 'attachment; filename="g++_4:14~exp^1=a@b.deb"'],
  ["a%253a1.deb", "attachment; filename*=UTF-8''a%253a1.deb"],
  ["%e2%80%aegnp.deb", "attachment; filename*=UTF-8''%E2%80%AEgnp.deb"],
  ["a%22;%20filename=b.deb", "attachment; filename*=UTF-8''a%22%3B%20filename%3Db.deb"],
  ["a%0d%0aSet-Cookie:%20b", "attachment; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"],
  ["a'(b)*!.deb", "attachment; filename*=UTF-8''a%27%28b%29%2a%21.deb"],
])("the file name %s is told as %s", (name, disposition) => {
  expect(blobHeadersFor(`${AT}/${name}`)?.disposition).toBe(disposition);
});

test.each([AT, `${AT}/`, `${AT}/%zz`, "/apt/tools/key.asc", "/apt/tools/dists/stable/InRelease", `${AT}/a/b`, "/", ""])(
  "%s has no file name of a blob",
  (path) => {
    expect(blobHeadersFor(path)).toBeUndefined();
  },
);

test("whatever is asked for, a header has only printable ASCII", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.webPath()), (name) => {
      for (const path of [`${AT}/${name}`, `${AT}/${encodeURIComponent(name.toWellFormed())}`]) {
        expect(blobHeadersFor(path)?.disposition ?? "attachment").toMatch(/^[\x20-\x7e]+$/);
      }
    }),
  );
});

const response = (statusCode: number) => ({
  statusCode,
  headers: { "content-type": { value: "application/octet-stream" }, "content-disposition": { value: "" } },
});

test.each([200, 206, 304])(
  "CloudFront's answer %d says what the name says, whichever path the request shows",
  (status) => {
    const asked = `${AT}/a.deb`;
    const requests = [
      { uri: asked, headers: {} },
      { uri: AT, headers: { "x-packhouse-path": { value: asked } } },
    ];
    for (const request of requests) {
      const { headers } = handler({ request, response: response(status) });
      expect(headers["content-type"]?.value).toBe("application/vnd.debian.binary-package");
      expect(headers["content-disposition"]?.value).toBe('attachment; filename="a.deb"');
    }
  },
);

test.each([302, 404, 416, 503])("an answer %d is left as it is", (status) => {
  const before = response(status);
  const after = handler({ request: { uri: `${AT}/a.deb`, headers: {} }, response: response(status) });
  expect(after).toEqual(before);
});
