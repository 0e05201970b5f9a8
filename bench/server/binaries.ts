import pMap from "p-map";
import { z } from "zod";
import { ancestorsOf, type StoredBinary, touchLevel, writeBinary } from "../../shared/binary/node.ts";
import { sha256Of } from "../../shared/blob.ts";
import type { Context } from "../../shared/context.ts";
import { putPackage } from "../../shared/package.ts";

const Given = z.object({ packages: z.number().int(), binariesEach: z.number().int() });
const PARALLEL = 32;

/** Fills the discovery tree and the list of packages, as so many uploads would have; no bytes are stored. */
export async function fillTable(ctx: Context, given: unknown): Promise<void> {
  const { packages, binariesEach } = Given.parse(given);
  const at = ctx.now().toISOString();
  await pMap(
    Array.from({ length: packages }, (_, index) => index),
    async (index) => {
      const name = `package-${String(index).padStart(5, "0")}`;
      for (let nth = 0; nth < binariesEach; nth += 1) {
        const segments = [name, "debian", "bookworm", "amd64", `${name}_${nth}_amd64.bin`];
        const file = { sha256: sha256Of(segments.join("/")), sizeBytes: 1000 };
        const stored: StoredBinary = {
          ...file,
          signed: false,
          format: "file",
          job: "bench",
          replace: false,
          settled: true,
          at,
        };
        await putPackage(
          ctx,
          { format: "file" },
          { ...file, filename: segments.at(-1) ?? "", heldBy: segments.join("/") },
        );
        await writeBinary(ctx, segments, undefined, { stored });
        if (nth === 0) for (const level of ancestorsOf(segments)) await touchLevel(ctx, level, at);
      }
    },
    { concurrency: PARALLEL },
  );
}
