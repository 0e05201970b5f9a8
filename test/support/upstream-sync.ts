import { expect } from "vitest";
import type { TestPackhouse } from "./packhouse.ts";

let upstreams = 0;

/** Upstreams of a Packhouse, as a caller makes and watches them. */
export function upstreamsOf(packhouse: () => TestPackhouse) {
  const named = async (name: string) => (await packhouse().call("GET", `/upstream/${name}`)).body;
  return {
    named,
    /** Makes one of type apt under a new name, and answers that. */
    async make(path: string, settings: object = {}): Promise<string> {
      upstreams += 1;
      const name = `site-${upstreams}`;
      const body = { name, type: "apt", path, series: ["stable"], ...settings };
      const answer = await packhouse().call("POST", "/upstream", body);
      expect([answer.status, answer.body]).toEqual([201, { uri: `${packhouse().url}/upstream/${name}` }]);
      return name;
    },
    async again(name: string, settings: object = {}): Promise<void> {
      expect((await packhouse().call("PUT", `/upstream/${name}`, settings)).status).toBe(202);
    },
    /** The newest sync when it has ended, or 25 seconds are over. */
    // biome-ignore lint/suspicious/noExplicitAny: a job as it is answered
    async ended(name: string): Promise<any> {
      return (await packhouse().call("GET", `${(await named(name)).job}?wait=25`)).body;
    },
    /** The names of its packages, sorted. */
    async names(name: string): Promise<string[]> {
      const { body } = await packhouse().call("GET", `/upstream/${name}/packages`);
      return Object.values<{ name: string }>(body)
        .map((one) => one.name)
        .sort();
    },
    /** A repo that has taken over an upstream's head, when it is published. */
    async repoOf(name: string, settings: object = {}): Promise<string> {
      const repo = `of-${name}`;
      const made = await packhouse().call("POST", "/repo", { name: repo, type: "apt", ...settings });
      expect(made.status).toBe(201);
      const sync = { sync: { name, type: "upstream" } };
      const { body, status } = await packhouse().call("PUT", `/repo/${repo}/packages`, sync);
      expect([status, body]).toEqual([200, expect.objectContaining({ commit: expect.any(Number) })]);
      await expect
        .poll(async () => (await packhouse().call("GET", `/repo/${repo}`)).body.published_commit, { timeout: 20_000 })
        .toBe(body.commit);
      return repo;
    },
  };
}
