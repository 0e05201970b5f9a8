import { once } from "node:events";
import { connect } from "node:net";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "../../infra/local/database.ts";
import { createTableEndpoint, ensureTable } from "../../infra/local/table.ts";
import { CREDENTIALS, REGION, type Served, serve, temporaryDatabase } from "../support/aws-endpoints.ts";

const TableName = "packhouse";
let database: ReturnType<typeof temporaryDatabase>;
let served: Served;
let document: DynamoDBDocument;
let faults: unknown[];

beforeEach(async () => {
  database = temporaryDatabase();
  await start();
});
afterEach(async () => {
  document.destroy();
  await served.close();
  database.close();
});

async function start(): Promise<void> {
  faults = [];
  const onFault = (error: unknown) => faults.push(error);
  const table = createTableEndpoint({ db: database.db, region: REGION, credentials: CREDENTIALS, onFault });
  served = await serve(table.handle);
  const client = new DynamoDBClient({ endpoint: served.url, region: REGION, credentials: CREDENTIALS, maxAttempts: 1 });
  document = DynamoDBDocument.from(client);
  await ensureTable(client, TableName);
}

const fill = (count: number, filler = "") =>
  document.batchWrite({
    RequestItems: {
      [TableName]: Array.from({ length: count }, (_, n) => ({ PutRequest: { Item: { pk: "p", sk: `${n}`, filler } } })),
    },
  });

async function count(): Promise<number | undefined> {
  const query = { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": "p" } };
  return (await document.query({ ...query, Select: "COUNT" })).Count;
}

test("a batch for which the disk has no space fails whole, and the next one works", async () => {
  const pages = Number(database.db.statement("PRAGMA page_count").get()?.page_count);
  database.db.statement(`PRAGMA max_page_count = ${pages + 10}`).get();
  await expect(fill(25, "x".repeat(10_000))).rejects.toMatchObject({ name: "InternalServerError" });
  expect(faults).toEqual([expect.objectContaining({ message: expect.stringContaining("no space left on device") })]);
  expect(await count()).toBe(0);
  database.db.statement("PRAGMA max_page_count = 1000000").get();
  await fill(25, "x".repeat(10_000));
  expect(await count()).toBe(25);
});

test("what was written is there after a restart, and the table is active", async () => {
  await fill(3);
  document.destroy();
  await served.close();
  database.db.close();
  database.db = openDatabase(database.folder);
  await start();
  expect(await count()).toBe(3);
});

test("a client that breaks off in the middle of a request harms nobody", async () => {
  const socket = connect(Number(new URL(served.url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"half');
  socket.destroy();
  await once(socket, "close");
  await fill(1);
  expect(await count()).toBe(1);
});

test("a request longer than sixteen mebibytes is refused", async () => {
  const answer = await fetch(served.url, { method: "POST", body: "x".repeat((16 << 20) + 1) });
  expect(answer.status).toBe(413);
});
