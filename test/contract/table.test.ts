import { ConditionalCheckFailedException, DeleteTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureTable } from "../../infra/local/table.ts";
import { REGION, tableService, uniqueName } from "../support/aws-endpoints.ts";

// What the design relies on: one item's condition decides every race; consistent reads; queries by a sorted key.

const TableName = uniqueName("contract");
let client: DynamoDBClient;
let document: DynamoDBDocument;
let url: string;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ client, url, close } = await tableService());
  document = DynamoDBDocument.from(client, { marshallOptions: { removeUndefinedValues: true } });
  await ensureTable(client, TableName);
});
afterAll(async () => {
  await client.send(new DeleteTableCommand({ TableName }));
  await close();
});

const put = (pk: string, sk: string, more: object = {}) => document.put({ TableName, Item: { pk, sk, ...more } });
const get = async (pk: string, sk: string) =>
  (await document.get({ TableName, Key: { pk, sk }, ConsistentRead: true })).Item;

describe("the table", () => {
  test("may be made again", async () => {
    await ensureTable(client, TableName);
  });

  test("answers only to who holds the credentials", async () => {
    const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wrong" };
    const stranger = DynamoDBDocument.from(new DynamoDBClient({ endpoint: url, region: REGION, credentials }));
    await expect(stranger.get({ TableName, Key: { pk: "a", sk: "b" } })).rejects.toMatchObject({
      name: expect.stringMatching(/^(InvalidSignatureException|UnrecognizedClientException)$/),
    });
    const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables" };
    const bare = await fetch(url, { method: "POST", headers, body: "{}" });
    expect([bare.status, await bare.text()]).toEqual([400, expect.stringContaining("MissingAuthenticationToken")]);
  });
});

describe("an item", () => {
  test("is read as it was written, at once", async () => {
    const item = {
      text: "þetta + ~ : ^ % 日本 😀",
      number: 12_345.5,
      flag: true,
      nothing: null,
      list: [1, "two", { three: 3 }],
      map: { "a.b": { "c d": "" } },
      set: new Set(["x", "y"]),
      bytes: Uint8Array.of(0, 255),
    };
    await put("round", "trip", item);
    expect(await get("round", "trip")).toEqual({ pk: "round", sk: "trip", ...item });
  });

  test("of nearly 400 KB is taken, a larger one refused", async () => {
    const filler = "x".repeat(400_000);
    await put("large", "item", { filler });
    expect((await get("large", "item"))?.filler).toHaveLength(400_000);
    await expect(put("large", "item", { filler: `${filler}${"x".repeat(10_000)}` })).rejects.toMatchObject({
      name: "ValidationException",
    });
  });

  test("with an empty key is refused", async () => {
    await expect(put("", "x")).rejects.toMatchObject({ name: "ValidationException" });
  });

  test("that is not there is undefined, and its deletion no error", async () => {
    expect(await get("not", "there")).toBeUndefined();
    await document.delete({ TableName, Key: { pk: "not", sk: "there" } });
  });
});

describe("a condition", () => {
  test("lets one of 20 racing creators win", async () => {
    const create = (by: number) =>
      document.put({
        TableName,
        Item: { pk: "race", sk: "create", by },
        ConditionExpression: "attribute_not_exists(pk)",
      });
    const done = await Promise.allSettled(Array.from({ length: 20 }, (_, by) => create(by)));
    const winners = done.flatMap((result, by) => (result.status === "fulfilled" ? [by] : []));
    expect(winners).toHaveLength(1);
    for (const result of done) {
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(ConditionalCheckFailedException);
    }
    expect(await get("race", "create")).toMatchObject({ by: winners[0] });
  });

  test("lets one of 20 racing updates of a version win, each time", async () => {
    await put("race", "swap", { version: 0 });
    const swap = (from: number) =>
      document.update({
        TableName,
        Key: { pk: "race", sk: "swap" },
        UpdateExpression: "SET version = :to",
        ConditionExpression: "version = :from",
        ExpressionAttributeValues: { ":from": from, ":to": from + 1 },
      });
    for (let version = 0; version < 3; version += 1) {
      const done = await Promise.allSettled(Array.from({ length: 20 }, () => swap(version)));
      expect(done.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    }
    expect(await get("race", "swap")).toMatchObject({ version: 3 });
  });

  test("that fails tells the item as it was, when asked", async () => {
    await put("old", "values", { holder: "me" });
    const refused = document.put({
      TableName,
      Item: { pk: "old", sk: "values" },
      ConditionExpression: "attribute_not_exists(pk) OR holder = :you",
      ExpressionAttributeValues: { ":you": "you" },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    await expect(refused).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    expect(await get("old", "values")).toEqual({ pk: "old", sk: "values", holder: "me" });
  });

  test("guards a deletion too", async () => {
    await put("guarded", "deletion", { state: "busy" });
    const remove = (state: string) =>
      document.delete({
        TableName,
        Key: { pk: "guarded", sk: "deletion" },
        ConditionExpression: "#state = :state",
        ExpressionAttributeNames: { "#state": "state" },
        ExpressionAttributeValues: { ":state": state },
        ReturnValues: "ALL_OLD",
      });
    await expect(remove("idle")).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    expect((await remove("busy")).Attributes).toMatchObject({ state: "busy" });
    expect(await get("guarded", "deletion")).toBeUndefined();
  });
});

describe("an update", () => {
  test("counts each of 50 at once", async () => {
    const add = () =>
      document.update({
        TableName,
        Key: { pk: "counter", sk: "c" },
        UpdateExpression: "ADD #n :one",
        ExpressionAttributeNames: { "#n": "n" },
        ExpressionAttributeValues: { ":one": 1 },
        ReturnValues: "UPDATED_NEW",
      });
    const seen = await Promise.all(Array.from({ length: 50 }, add));
    expect(new Set(seen.map((result) => result.Attributes?.n)).size).toBe(50);
    expect(await get("counter", "c")).toMatchObject({ n: 50 });
  });

  test("sets, keeps, removes and reaches into maps", async () => {
    await put("update", "u", { kept: 1, gone: 2, map: { a: 1 } });
    const { Attributes } = await document.update({
      TableName,
      Key: { pk: "update", sk: "u" },
      UpdateExpression: "SET kept = if_not_exists(kept, :x), added = if_not_exists(added, :x), #m.#b = :x REMOVE gone",
      ExpressionAttributeNames: { "#m": "map", "#b": "b" },
      ExpressionAttributeValues: { ":x": 9 },
      ReturnValues: "ALL_NEW",
    });
    expect(Attributes).toEqual({ pk: "update", sk: "u", kept: 1, added: 9, map: { a: 1, b: 9 } });
  });
});
