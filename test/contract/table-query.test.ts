import { DeleteTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument, type QueryCommandInput } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureTable } from "../../infra/local/table.ts";
import { tableService, uniqueName } from "../support/aws-endpoints.ts";

// Queries by a sorted key, page by page; and batches.

const TableName = uniqueName("contract");
let client: DynamoDBClient;
let document: DynamoDBDocument;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ client, close } = await tableService());
  document = DynamoDBDocument.from(client, { marshallOptions: { removeUndefinedValues: true } });
  await ensureTable(client, TableName);
});
afterAll(async () => {
  await client.send(new DeleteTableCommand({ TableName }));
  await close();
});

const put = (pk: string, sk: string, more: object = {}) => document.put({ TableName, Item: { pk, sk, ...more } });

/** Puts many items of one partition, 25 at a time. */
async function fill(pk: string, sks: string[]): Promise<void> {
  for (let start = 0; start < sks.length; start += 25) {
    const requests = sks.slice(start, start + 25).map((sk) => ({ PutRequest: { Item: { pk, sk } } }));
    const { UnprocessedItems = {} } = await document.batchWrite({ RequestItems: { [TableName]: requests } });
    expect(UnprocessedItems).toEqual({});
  }
}

type Condition = Pick<QueryCommandInput, "KeyConditionExpression" | "ExpressionAttributeValues">;
const all = (pk: string): Condition => ({ KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": pk } });
async function query(condition: Condition, more: Partial<QueryCommandInput> = {}) {
  const { Items = [], LastEvaluatedKey } = await document.query({
    TableName,
    ConsistentRead: true,
    ...condition,
    ...more,
  });
  return { sks: Items.map((item) => String(item.sk)), last: LastEvaluatedKey };
}

describe("a query", () => {
  const sks = Array.from({ length: 130 }, (_, n) => String(n).padStart(4, "0"));

  test("gives a partition in order, both ways, page by page", async () => {
    await fill("pages", sks);
    await put("pages2", "0000");
    for (const forward of [true, false]) {
      const seen: string[] = [];
      let ExclusiveStartKey: Record<string, unknown> | undefined;
      do {
        const page = await query(all("pages"), { Limit: 50, ScanIndexForward: forward, ExclusiveStartKey });
        expect(page.sks.length).toBeLessThanOrEqual(50);
        seen.push(...page.sks);
        ExclusiveStartKey = page.last;
      } while (ExclusiveStartKey);
      expect(seen).toEqual(forward ? sks : [...sks].reverse());
      expect((await query(all("pages"), { ScanIndexForward: forward })).sks).toEqual(seen);
    }
  });

  test("finds the first and the last", async () => {
    await fill("ends", sks);
    expect(await query(all("ends"), { Limit: 1 })).toEqual({ sks: ["0000"], last: { pk: "ends", sk: "0000" } });
    expect((await query(all("ends"), { Limit: 1, ScanIndexForward: false })).sks).toEqual(["0129"]);
  });

  test("takes a range of the sort key", async () => {
    await fill("range", ["a", "a#1", "a#2", "a#2x", "b", "b#1", "é", "日"]);
    const range = (expression: string, values: Record<string, string>) =>
      query({
        KeyConditionExpression: `pk = :p AND ${expression}`,
        ExpressionAttributeValues: { ":p": "range", ...values },
      });
    expect((await range("begins_with(sk, :a)", { ":a": "a#" })).sks).toEqual(["a#1", "a#2", "a#2x"]);
    expect((await range("sk BETWEEN :a AND :b", { ":a": "a#2", ":b": "b" })).sks).toEqual(["a#2", "a#2x", "b"]);
    expect((await range("sk > :a", { ":a": "b" })).sks).toEqual(["b#1", "é", "日"]);
    expect((await range("sk >= :a", { ":a": "b#1" })).sks).toEqual(["b#1", "é", "日"]);
    expect((await range("sk < :a", { ":a": "a#2" })).sks).toEqual(["a", "a#1"]);
    expect((await range("sk <= :a", { ":a": "a#1" })).sks).toEqual(["a", "a#1"]);
    expect((await range("sk = :a", { ":a": "é" })).sks).toEqual(["é"]);
  });

  test("goes on behind a key within its range, both ways", async () => {
    await fill("behind", sks);
    const condition = {
      KeyConditionExpression: "pk = :p AND begins_with(sk, :s)",
      ExpressionAttributeValues: { ":p": "behind", ":s": "001" },
    };
    const behind = (sk: string, ScanIndexForward: boolean) =>
      query(condition, { ExclusiveStartKey: { pk: "behind", sk }, ScanIndexForward });
    expect((await behind("0016", true)).sks).toEqual(["0017", "0018", "0019"]);
    expect((await behind("0012", false)).sks).toEqual(["0011", "0010"]);
  });

  test("gives a mebibyte at most, and where to go on", async () => {
    for (let n = 0; n < 8; n += 1) await put("mebibyte", String(n), { filler: "x".repeat(300_000) });
    const first = await query(all("mebibyte"));
    expect(first.sks.length).toBeLessThan(8);
    expect(first.last).toEqual({ pk: "mebibyte", sk: first.sks.at(-1) });
    const second = await query(all("mebibyte"), { ExclusiveStartKey: first.last });
    expect([...first.sks, ...second.sks].slice(0, 8)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  });

  test("filters after its limit, projects, and counts", async () => {
    for (let n = 0; n < 6; n += 1) await put("filter", String(n), { even: n % 2 === 0, other: "o" });
    const { Items, Count, ScannedCount } = await document.query({
      TableName,
      KeyConditionExpression: "pk = :p",
      FilterExpression: "even = :true",
      ProjectionExpression: "sk",
      ExpressionAttributeValues: { ":p": "filter", ":true": true },
      Limit: 4,
    });
    expect([Items, Count, ScannedCount]).toEqual([[{ sk: "0" }, { sk: "2" }], 2, 4]);
    const counted = await document.query({ TableName, ...all("filter"), Select: "COUNT" });
    expect([counted.Count, counted.Items]).toEqual([6, undefined]);
  });

  test("sees every write that was answered before it", async () => {
    for (let n = 0; n < 20; n += 1) {
      await put("consistent", String(n).padStart(2, "0"));
      expect((await query(all("consistent"))).sks).toHaveLength(n + 1);
    }
  });
});

describe("a batch", () => {
  test("reads up to a hundred, and leaves out what is not there", async () => {
    await fill("batch", ["1", "2", "3"]);
    const Keys = ["1", "3", "4"].map((sk) => ({ pk: "batch", sk }));
    const { Responses = {} } = await document.batchGet({
      RequestItems: { [TableName]: { Keys, ConsistentRead: true } },
    });
    expect(Responses[TableName]?.map((item) => item.sk).sort()).toEqual(["1", "3"]);
  });

  test("puts and deletes", async () => {
    await fill("mixed", ["1"]);
    await document.batchWrite({
      RequestItems: {
        [TableName]: [
          { DeleteRequest: { Key: { pk: "mixed", sk: "1" } } },
          { PutRequest: { Item: { pk: "mixed", sk: "2" } } },
        ],
      },
    });
    expect((await query(all("mixed"))).sks).toEqual(["2"]);
  });

  test("of more than 25, or with an item twice, is refused", async () => {
    const write = (sks: string[]) =>
      document.batchWrite({
        RequestItems: { [TableName]: sks.map((sk) => ({ PutRequest: { Item: { pk: "wrong", sk } } })) },
      });
    await expect(write(Array.from({ length: 26 }, (_, n) => String(n)))).rejects.toMatchObject({
      name: "ValidationException",
    });
    await expect(write(["1", "1"])).rejects.toMatchObject({ name: "ValidationException" });
    expect((await query(all("wrong"))).sks).toEqual([]);
  });
});
