import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client, type S3ClientConfig, S3ServiceException } from "@aws-sdk/client-s3";
import { openDatabase } from "../../infra/local/database.ts";
import { createObjectStore, type ObjectStoreOptions } from "../../infra/local/s3/store.ts";

/** An S3 endpoint under test: our own, or the one that PACKHOUSE_CONTRACT_S3_ENDPOINT names. */
export type ObjectsEndpoint = {
  url: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  client(config?: S3ClientConfig): S3Client;
  close(): Promise<void>;
};

export const OWN_CREDENTIALS = { accessKeyId: "PACKHOUSETEST", secretAccessKey: "a/secret+key=with~signs" };
const REGION = "eu-central-1";

/** Tests about what only our endpoint has (its folder, its clock) ask this. */
export const FOREIGN_ENDPOINT = process.env.PACKHOUSE_CONTRACT_S3_ENDPOINT;

export async function objectsEndpoint(): Promise<ObjectsEndpoint> {
  if (FOREIGN_ENDPOINT === undefined) return await localObjects();
  const credentials = {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
    ...(process.env.AWS_SESSION_TOKEN ? { sessionToken: process.env.AWS_SESSION_TOKEN } : {}),
  };
  const region = process.env.AWS_REGION ?? "us-east-1";
  return withClients({ url: FOREIGN_ENDPOINT, region, credentials, close: async () => undefined });
}

function withClients(endpoint: Omit<ObjectsEndpoint, "client">): ObjectsEndpoint {
  const { url, region, credentials } = endpoint;
  return {
    ...endpoint,
    client: (config = {}) =>
      new S3Client({ endpoint: url, region, credentials, forcePathStyle: true, maxAttempts: 1, ...config }),
  };
}

export type LocalObjects = ObjectsEndpoint & {
  folder: string;
  store: ReturnType<typeof createObjectStore>;
  db: ReturnType<typeof openDatabase>;
  /** Unfinished uploads on the disk. */
  /** Data files that nothing refers to. */
  drafts(): number[];
  /** Numbers of the data files on the disk. */
  dataFiles(): number[];
  faults: unknown[];
};

export async function localObjects(
  options: Partial<ObjectStoreOptions> & { keepFolder?: boolean } = {},
): Promise<LocalObjects> {
  const { keepFolder, folder = mkdtempSync(join(tmpdir(), "packhouse-objects-")), ...rest } = options;
  const db = options.db ?? openDatabase(folder);
  const faults: unknown[] = [];
  const onFault = (error: unknown) => void faults.push(error);
  const store = createObjectStore({ folder, region: REGION, credentials: OWN_CREDENTIALS, onFault, ...rest, db });
  const server = createServer((req, res) => store.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const local = withClients({
    url: `http://127.0.0.1:${port}/_s3`,
    region: REGION,
    credentials: OWN_CREDENTIALS,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      store.close();
      db.close();
      if (!keepFolder) rmSync(folder, { recursive: true, force: true });
    },
  });
  const list = (path: string) => (existsSync(path) ? readdirSync(path) : []);
  const dataFiles = () =>
    list(join(folder, "data"))
      .flatMap((shelf) => list(join(folder, "data", shelf)).map(Number))
      .sort((a, b) => a - b);
  return {
    ...local,
    folder,
    store,
    db,
    faults,
    dataFiles,
    drafts() {
      const known = db.statement(
        "SELECT data_id FROM object_piece UNION SELECT data_id FROM object_part UNION SELECT data_id FROM object_garbage",
      );
      const ids = new Set(known.all().map(({ data_id }) => Number(data_id)));
      return dataFiles().filter((id) => !ids.has(id));
    },
  };
}

let buckets = 0;
export function bucketName(): string {
  return `packhouse-contract-${process.pid}-${Date.now().toString(36)}-${buckets++}`;
}

/** Code and status of the error that `work` ends in. */
export async function errorOf(work: Promise<unknown>): Promise<{ code: string; status: number | undefined }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof S3ServiceException) return { code: error.name, status: error.$metadata.httpStatusCode };
    throw error;
  }
  throw new Error("expected an error, but it worked");
}
