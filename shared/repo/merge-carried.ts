import type { RepoType } from "../store/keys.ts";
import type { CarriedFile } from "../tree/carried.ts";
import type { BlobStore } from "../tree/leaf.ts";
import { isMergedRecord, type MergedRecord, mergeRecords } from "../yum/merge-records.ts";

/** What one source has beside its packages; the earlier one of several wins. */
export type CarriedSource = { readonly name: string; readonly files: readonly CarriedFile[] };

/**
 * What is carried beside the packages of several sources. Of one path the first has its say, but for those records of yum that list
 * things of their own (groups, advisories, modules): several are merged into one, in our store.
 */
export async function mergeCarried(
  store: BlobStore,
  type: RepoType,
  sources: readonly CarriedSource[],
): Promise<CarriedFile[]> {
  const merged: CarriedFile[] = [];
  const taken = new Set<string>();
  const records = new Map<MergedRecord, { name: string; file: CarriedFile }[]>();
  for (const { name, files } of sources) {
    const own = new Set<string>();
    for (const file of files) {
      const record = type === "yum" ? isMergedRecord(file.record) : undefined;
      if (record !== undefined) {
        // One source may have a record in several compressions: one of them is enough.
        if (own.has(record)) continue;
        own.add(record);
        records.set(record, [...(records.get(record) ?? []), { name, file }]);
        continue;
      }
      const place = JSON.stringify([file.suite, file.record, file.path]);
      if (taken.has(place)) continue;
      taken.add(place);
      merged.push(file);
    }
  }
  for (const [record, parts] of records) merged.push(await mergeRecords(store, record, parts));
  return merged;
}
