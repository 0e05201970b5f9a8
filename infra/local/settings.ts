import { join } from "node:path";
import { AppError } from "../../shared/error.ts";
import { SETTINGS } from "../../shared/settings.ts";

/** What the local server is told by its environment. */
export type LocalSettings = {
  readonly dataFolder: string;
  readonly host: string;
  readonly port: number;
  /** How clients reach it, when that differs from where it listens. */
  readonly publicUrl: string | undefined;
  /** Whether upstreams may lie in the own network or on this machine. */
  readonly allowPrivateUpstreams?: boolean | undefined;
  /** At most so many connections to one upstream's host at a time. */
  readonly connectionsPerHost?: number | undefined;
  /** Buckets that upstreams of type dir may lie in, with commas between them. */
  readonly upstreamBuckets?: string | undefined;
};

export function localSettings(environment: Readonly<Record<string, string | undefined>>, cwd: string): LocalSettings {
  const port = environment.PACKHOUSE_PORT ?? "8080";
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    throw new AppError("invalid", `PACKHOUSE_PORT is ${JSON.stringify(port)}: expected a port from 0 to 65535`);
  }
  const publicUrl = environment.PACKHOUSE_PUBLIC_URL;
  if (publicUrl !== undefined && !/^https?:\/\/[^/?#@\s]+\/?$/.test(publicUrl)) {
    throw new AppError(
      "invalid",
      `PACKHOUSE_PUBLIC_URL is ${JSON.stringify(publicUrl)}: expected http(s)://host[:port] without a path`,
    );
  }
  const connections = environment[SETTINGS.connectionsPerHost];
  if (connections !== undefined && !/^([1-9]|[1-5]\d|6[0-4])$/.test(connections)) {
    throw new AppError(
      "invalid",
      `${SETTINGS.connectionsPerHost} is ${JSON.stringify(connections)}: expected a number from 1 to 64`,
    );
  }
  return {
    dataFolder: environment.PACKHOUSE_DATA ?? join(cwd, ".packhouse"),
    host: environment.PACKHOUSE_HOST ?? "127.0.0.1",
    port: Number(port),
    publicUrl: publicUrl?.replace(/\/$/, ""),
    allowPrivateUpstreams: environment[SETTINGS.allowPrivateUpstreams] === "1",
    connectionsPerHost: connections === undefined ? undefined : Number(connections),
    upstreamBuckets: environment[SETTINGS.upstreamBuckets],
  };
}
