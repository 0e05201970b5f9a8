import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQS } from "@aws-sdk/client-sqs";
import { type LocalDatabase, openDatabase } from "../../infra/local/database.ts";
import { createQueueEndpoint, type QueueEndpoint } from "../../infra/local/sqs/endpoint.ts";
import { createTableEndpoint } from "../../infra/local/table.ts";

export const CREDENTIALS = { accessKeyId: "AKIAPACKHOUSETESTS00", secretAccessKey: "a secret of the tests" };
export const REGION = "us-east-1";

type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
export type Served = { url: string; close(): Promise<void> };

/** Serves on 127.0.0.1, at a port of its own. */
export async function serve(handle: Handle): Promise<Served> {
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** `db` may be closed and opened again. */
export function temporaryDatabase(): { db: LocalDatabase; folder: string; close(): void } {
  const folder = mkdtempSync(join(tmpdir(), "packhouse-endpoint-"));
  return {
    db: openDatabase(folder),
    folder,
    close() {
      this.db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type LocalQueues = {
  sqs: SQS;
  endpoint: QueueEndpoint;
  url: string;
  /** Requests that are being answered. */
  open(): number;
  close(): Promise<void>;
};

export async function serveQueues(db: LocalDatabase, now?: () => number): Promise<LocalQueues> {
  let url = "";
  const credentials = CREDENTIALS;
  const onFault = () => undefined;
  const options = { db, region: REGION, credentials, baseUrl: () => url, onFault };
  const endpoint = createQueueEndpoint({ ...options, ...(now ? { now } : {}) });
  let open = 0;
  const served = await serve(async (request, response) => {
    open += 1;
    await endpoint.handle(request, response).finally(() => {
      open -= 1;
    });
  });
  url = served.url;
  const sqs = new SQS({ endpoint: url, region: REGION, credentials });
  return {
    sqs,
    endpoint,
    url,
    open: () => open,
    async close() {
      endpoint.close();
      sqs.destroy();
      await served.close();
    },
  };
}

/** The queue service under contract: PACKHOUSE_CONTRACT_SQS_ENDPOINT with the usual AWS_* credentials, or our own. */
export async function queueService(): Promise<{ sqs: SQS; close(): Promise<void> }> {
  const endpoint = process.env.PACKHOUSE_CONTRACT_SQS_ENDPOINT;
  if (endpoint) {
    const sqs = new SQS({ endpoint, region: process.env.AWS_REGION ?? REGION });
    return { sqs, close: async () => sqs.destroy() };
  }
  const database = temporaryDatabase();
  const { sqs, close } = await serveQueues(database.db);
  return {
    sqs,
    async close() {
      await close();
      database.close();
    },
  };
}

/** The table service under contract: PACKHOUSE_CONTRACT_DYNAMODB_ENDPOINT, or our own. */
export async function tableService(): Promise<{ client: DynamoDBClient; url: string; close(): Promise<void> }> {
  const endpoint = process.env.PACKHOUSE_CONTRACT_DYNAMODB_ENDPOINT;
  if (endpoint) {
    const client = new DynamoDBClient({ endpoint, region: process.env.AWS_REGION ?? REGION });
    return { client, url: endpoint, close: async () => client.destroy() };
  }
  const database = temporaryDatabase();
  const table = createTableEndpoint({ db: database.db, region: REGION, credentials: CREDENTIALS });
  const served = await serve(table.handle);
  const client = new DynamoDBClient({ endpoint: served.url, region: REGION, credentials: CREDENTIALS });
  return {
    client,
    url: served.url,
    async close() {
      table.close();
      client.destroy();
      await served.close();
      database.close();
    },
  };
}

export function uniqueName(stem: string): string {
  return `${stem}-${randomUUID().slice(0, 8)}`;
}

/** Looks until `look` gives something; a state is waited for, never a time. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string, limitMs = 15_000): Promise<T> {
  for (const end = Date.now() + limitMs; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
