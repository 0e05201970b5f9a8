import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "../../functions/http/app.ts";
import { startPackhouse, type TestPackhouse } from "../support/packhouse.ts";

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape is looked into
type Json = any;

let packhouse: TestPackhouse;
let document: Json;
beforeAll(async () => {
  packhouse = await startPackhouse();
  document = (await packhouse.call("GET", "/openapi.json")).body;
});
afterAll(() => packhouse.remove());

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const operations = (): [string, string, Json][] =>
  Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method): [string, string, Json][] => (item[method] ? [[method, path, item[method]]] : [])),
  );

/** Every object within, with the place where it stands. */
function* within(value: Json, place = "#"): Generator<[string, Json]> {
  if (typeof value !== "object" || value === null) return;
  yield [place, value];
  for (const [name, inner] of Object.entries(value)) yield* within(inner, `${place}/${name}`);
}

test("every route that the app answers is in the document, and the document has no other", () => {
  const app = appOf(() => packhouse.context);
  const routes = app.routes
    .filter(({ method, path }) => method !== "ALL" && !path.endsWith("*"))
    .map(
      ({ method, path }) => `${method} ${path.replace(/:([A-Za-z_]+)(?:\{[^}]*\})?/g, "{$1}").replace(/(.)\/$/, "$1")}`,
    );
  const told = operations().map(([method, path]) => `${method.toUpperCase()} ${path.replace(/(.)\/$/, "$1")}`);
  expect([...new Set(routes)].sort()).toEqual([...new Set(told)].sort());
  expect(told.length).toBeGreaterThan(15);
});

test("it is OpenAPI 3.1, says what it is of, and where that is", () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toEqual({ title: "Packhouse", version: expect.any(String), description: expect.any(String) });
  expect(document.servers).toEqual([{ url: packhouse.url }]);
  const known = ["openapi", "info", "servers", "paths", "components", "webhooks", "tags", "security", "externalDocs"];
  expect(Object.keys(document).filter((key) => !known.includes(key))).toEqual([]);
});

test("every reference leads to something", () => {
  const refs = [...within(document)].filter(([, value]) => typeof value.$ref === "string");
  expect(refs.length).toBeGreaterThan(5);
  for (const [place, { $ref }] of refs) {
    expect([place, $ref.startsWith("#/")]).toEqual([place, true]);
    const target = $ref
      .slice(2)
      .split("/")
      .reduce((at: Json, name: string) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], document);
    expect([place, $ref, typeof target]).toEqual([place, $ref, "object"]);
  }
});

test("a path's parameters are exactly those in its name, each required; no parameter is told twice", () => {
  for (const [method, path, operation] of operations()) {
    const parameters: Json[] = operation.parameters ?? [];
    const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const inPath = parameters.filter((one) => one.in === "path");
    expect([method, path, inPath.map(({ name }) => name).sort()]).toEqual([method, path, named.sort()]);
    for (const one of inPath) expect([path, one.name, one.required]).toEqual([path, one.name, true]);
    for (const one of parameters) {
      expect(["path", "query", "header", "cookie"]).toContain(one.in);
      expect([path, one.name, typeof (one.schema ?? one.content)]).toEqual([path, one.name, "object"]);
    }
    const ids = parameters.map(({ in: where, name }) => `${where} ${name}`);
    expect(new Set(ids).size).toBe(ids.length);
  }
});

test("no two paths are the same but for their parameters' names, and no two operations have one id", () => {
  const shapes = Object.keys(document.paths).map((path) => path.replaceAll(/\{[^}]+\}/g, "{}"));
  expect(new Set(shapes).size).toBe(shapes.length);
  const ids = operations().flatMap(([, , { operationId }]) => operationId ?? []);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every operation has a summary, and responses by status, each described and of a media type with a schema", () => {
  for (const [method, path, operation] of operations()) {
    const place = `${method} ${path}`;
    expect([place, typeof operation.summary]).toEqual([place, "string"]);
    const responses = Object.entries<Json>(operation.responses);
    expect([place, responses.some(([status]) => /^[23]/.test(status))]).toEqual([place, true]);
    for (const [status, response] of responses) {
      expect([place, status]).toEqual([place, expect.stringMatching(/^(?:[1-5](?:\d\d|XX)|default)$/)]);
      expect([place, status, typeof response.description]).toEqual([place, status, "string"]);
      for (const [type, media] of Object.entries<Json>(response.content ?? {})) {
        expect([place, type]).toEqual([place, expect.stringMatching(/^[a-z]+\/[a-z0-9.+-]+$/)]);
        expect([place, type, typeof media.schema]).toEqual([place, type, "object"]);
      }
    }
    if (method === "get") expect([place, operation.requestBody]).toEqual([place, undefined]);
    if (operation.requestBody) expect(Object.keys(operation.requestBody.content)).toContain("application/json");
  }
});

test("every writing operation says that it may be refused for want of a token", () => {
  for (const [method, path, operation] of operations()) {
    if (["get", "head", "options"].includes(method)) continue;
    expect([method, path, Object.keys(operation.responses)]).toEqual([method, path, expect.arrayContaining(["401"])]);
  }
});

test("schemas are JSON Schema of 2020-12: known types, and no word of OpenAPI 3.0", () => {
  const types = ["string", "number", "integer", "boolean", "object", "array", "null"];
  for (const [place, value] of within(document)) {
    if (!/schema(?:s\/|\/|$)/i.test(place) || place.endsWith("/properties") || Array.isArray(value)) continue;
    if (value.type !== undefined)
      for (const type of [value.type].flat()) expect([place, types]).toEqual([place, expect.arrayContaining([type])]);
    expect([place, "nullable" in value, typeof value.exclusiveMinimum]).toEqual([
      place,
      false,
      expect.not.stringMatching("boolean"),
    ]);
    for (const name of value.required ?? [])
      expect([place, Object.keys(value.properties)]).toEqual([place, expect.arrayContaining([name])]);
  }
});
