/** Fills the discovery tree of a data folder that no Packhouse has open, as so many uploads of plain files would have. */
import { z } from "zod";
import { contextOver, putBinary } from "./binaries.ts";
import { openRows } from "./rows.ts";

const Given = z.object({ dataFolder: z.string(), packages: z.number().int(), binariesEach: z.number().int() });

const { dataFolder, packages, binariesEach } = Given.parse(JSON.parse(process.argv[2] ?? "{}"));
const rows = openRows(dataFolder);
const ctx = contextOver(rows);
for (let index = 0; index < packages; index += 1) {
  const name = `package-${String(index).padStart(5, "0")}`;
  for (let nth = 0; nth < binariesEach; nth += 1) {
    const segments = [name, "debian", "bookworm", "amd64", `${name}_${nth}_amd64.bin`];
    await putBinary(ctx, segments, segments.join("/"));
  }
}
rows.close();
