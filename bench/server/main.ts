/** A whole Packhouse in a process of its own, so that its memory can be told; the parent has it set up trees and tell of itself. */
import { z } from "zod";
import { useContext } from "../../functions/context.ts";
import { startServer } from "../../infra/local/server.ts";
import { ACTIONS } from "./actions.ts";
import { telling } from "./pointers.ts";
import { counted, traced } from "./trace.ts";

const Settings = z.object({
  dataFolder: z.string(),
  trace: z.enum(["none", "counts", "spans"]),
  port: z.number().int().default(0),
});
const Call = z.object({ id: z.number().int(), action: z.string(), given: z.unknown().optional() });

const { dataFolder, trace, port } = Settings.parse(JSON.parse(process.argv[2] ?? "{}"));
const server = await startServer(
  { dataFolder, host: "127.0.0.1", port, publicUrl: undefined, allowPrivateUpstreams: true },
  (message) => console.error(message),
);
const told = telling(server.context, (pointer) => process.send?.({ pointer }));
const context = trace === "spans" ? traced(told) : trace === "counts" ? counted(told) : told;
useContext(context);

process.on("message", async (message) => {
  const { id, action, given } = Call.parse(message);
  try {
    const act = ACTIONS[action];
    if (!act) throw new Error(`no action ${action}`);
    process.send?.({ id, result: (await act(context, given)) ?? null });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
process.on("disconnect", () => process.exit(0));
process.send?.({ url: server.url, token: server.folder.rootToken });
