import type { Sha256 } from "../blob.ts";
import type { Context } from "../context.ts";
import type { Incoming } from "../objects/s3.ts";
import { hashUpload } from "./hash-upload.ts";
import type { AwaitedUpload } from "./node.ts";

/** `later`: the time was over and it was handed on, or another one goes on with it. */
export type Taken = { readonly sha256: Sha256 } | { readonly refusal: string } | "later";

/**
 * Has the bytes of an upload verified and copied to the address of their hash. Up to what a store copies at once it tells the
 * hash itself; above, the bytes are read, and copied part by part.
 */
export async function takeIn(
  ctx: Context,
  uploadId: string,
  incoming: Incoming,
  awaited: AwaitedUpload,
  isOver: () => boolean,
): Promise<Taken> {
  const handOn = async () => {
    await ctx.queues.worker({ kind: "verify", upload: uploadId });
    return "later" as const;
  };
  const { mostCopyBytes, copyPartBytes } = ctx.uploadTerms;
  if (incoming.sizeBytes <= mostCopyBytes) {
    const sha256 = incoming.sha256 ?? (await ctx.objects.hashIncoming(uploadId, incoming));
    // The copy that told the hash is another object to the store.
    const fresh = incoming.sha256 ? incoming : await ctx.objects.headIncoming(uploadId);
    if (!fresh) throw new Error("an upload vanished while it was hashed");
    const refusal = refusalOf(awaited, { sha256, sizeBytes: fresh.sizeBytes });
    if (refusal !== undefined) return { refusal };
    if (isOver()) return handOn();
    await ctx.objects.takeIn(uploadId, fresh, sha256);
    return { sha256 };
  }
  const sha256 = await hashUpload(ctx, uploadId, incoming, isOver);
  if (sha256 === "taken") return "later";
  if (sha256 === "over") return handOn();
  const refusal = refusalOf(awaited, { sha256, sizeBytes: incoming.sizeBytes });
  if (refusal !== undefined) return { refusal };
  const copied = await ctx.objects.takeInParts(uploadId, incoming, sha256, { partBytes: copyPartBytes, isOver });
  return copied ? { sha256 } : handOn();
}

/** In what an upload differs from what was announced, if in anything. */
export function refusalOf(
  awaited: AwaitedUpload,
  { sha256, sizeBytes }: { readonly sha256?: Sha256; readonly sizeBytes: number },
): string | undefined {
  if (sha256 !== undefined && awaited.sha256 !== undefined && awaited.sha256 !== sha256) {
    return `the uploaded bytes have SHA-256 ${sha256}, announced was ${awaited.sha256}`;
  }
  if (awaited.sizeBytes !== undefined && awaited.sizeBytes !== sizeBytes) {
    return `${sizeBytes} bytes were uploaded, announced were ${awaited.sizeBytes}`;
  }
  return undefined;
}
