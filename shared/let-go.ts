/** Shorter bytes may lie in memory that Node shares out, and are not worth it. */
const FEWEST_BYTES = 64 * 1024;

/**
 * Gives back the memory of bytes that nobody will look at again: no code of ours, and nothing that works in other threads or the kernel,
 * such as a write on its way, since that would read memory of others. Left to V8 it stays until this looks through its whole heap, which it
 * does for each 64 MB that came: of what is unpacked in a publication that is a large part of the time and of the memory. Bytes that are
 * a part of something larger are left to it.
 */
export function letGo(bytes: Uint8Array): void {
  const { buffer, byteOffset, length } = bytes;
  // zlib asks for a byte more than there is to come.
  const isWhole = byteOffset === 0 && buffer.byteLength <= length + 1;
  if (length >= FEWEST_BYTES && isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
