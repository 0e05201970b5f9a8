import { localObjects } from "./objects-endpoint.ts";

// The object store in a process of its own: `node objects-child.ts FOLDER` prints its URL.
const local = await localObjects({ folder: process.argv[2] ?? "", keepFolder: true });
local.store.createBucket("packhouse");
console.log(local.url);
