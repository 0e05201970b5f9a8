import type { S3Client } from "@aws-sdk/client-s3";

/** From when, and for how many seconds, what is signed is good. */
export type Life = { readonly signedAt: Date; readonly seconds: number; readonly expiresAt: string };

/** A role's URL dies with its session, however long it was asked to live. */
export async function lifeOf(presigner: S3Client, ttlSeconds: number): Promise<Life> {
  const { expiration } = await presigner.config.credentials();
  const signedAt = new Date();
  const left = expiration === undefined ? ttlSeconds : (expiration.getTime() - signedAt.getTime()) / 1000;
  const seconds = Math.max(1, Math.floor(Math.min(ttlSeconds, left)));
  return { signedAt, seconds, expiresAt: new Date(signedAt.getTime() + seconds * 1000).toISOString() };
}

/** How the address of one PUT is signed: the store takes it only with these very headers. */
export function signing(headers: Readonly<Record<string, string>>, { signedAt, seconds }: Life) {
  return {
    expiresIn: seconds,
    signingDate: signedAt,
    signableHeaders: new Set(["host", ...Object.keys(headers)]),
    unhoistableHeaders: new Set(Object.keys(headers)),
  };
}
