import { type ClientProxy, openProxy } from "./clients-proxy.ts";
import { startPackhouse, type TestPackhouse } from "./packhouse.ts";
import { openWorkbench, type Workbench } from "./workbench.ts";

/** What a file of client tests stands on: a Packhouse, a proxy before it, a folder for its clients. */
export type Site = {
  readonly packhouse: TestPackhouse;
  readonly proxy: ClientProxy;
  readonly bench: Workbench;
  /** Makes a repo; fails unless it was made. */
  repo(name: string, type: "apt" | "yum", settings: Readonly<Record<string, unknown>>): Promise<void>;
  /** Uploads to `NAME/test/RELEASE/ARCHITECTURE/FILE`, and waits until every repo that takes it is published. */
  publish(pkg: NamedPackage, release?: string): Promise<void>;
  /** What is read there without a token; fails unless it is there. */
  read(path: string): Promise<Buffer>;
  close(): Promise<void>;
};

export type NamedPackage = {
  readonly name: string;
  readonly architecture: string;
  readonly filename: string;
  readonly bytes: Buffer;
};

export async function openSite(name: string): Promise<Site> {
  const [packhouse, proxy, bench] = await Promise.all([startPackhouse(), openProxy(), openWorkbench(name)]);
  return {
    packhouse,
    proxy,
    bench,
    async repo(repo, type, settings) {
      const made = await packhouse.call("POST", "/repo", { name: repo, type, ...settings });
      if (made.status !== 201) throw new Error(`repo ${repo}: ${made.status} ${JSON.stringify(made.body)}`);
    },
    async publish({ name: of, architecture, filename, bytes }, release = "1") {
      const job = await packhouse.upload(`/packages/${of}/test/${release}/${architecture}/${filename}`, bytes);
      if (job.state !== "done") throw new Error(`${filename}: ${JSON.stringify(job)}`);
    },
    async read(path) {
      const answer = await fetch(`${packhouse.url}${path}`);
      if (!answer.ok) throw new Error(`GET ${path}: ${answer.status}`);
      return Buffer.from(await answer.arrayBuffer());
    },
    async close() {
      await Promise.all([packhouse.remove(), proxy.close(), bench.remove()]);
    },
  };
}
