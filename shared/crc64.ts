// CRC-64/XZ (ECMA-182, reflected), in two 32-bit halves: BigInt would be some fifty times slower.
const LOW = new Int32Array(256);
const HIGH = new Int32Array(256);
for (let i = 0; i < 256; i++) {
  let low = i;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | ((high & 1) << 31);
    high >>>= 1;
    if (odd) {
      low ^= 0xd7870f42;
      high ^= 0xc96c5795;
    }
  }
  LOW[i] = low;
  HIGH[i] = high;
}

/** The checksum of bytes that come in parts. */
export class Crc64 {
  #low = -1;
  #high = -1;

  update(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < bytes.length; i++) {
      const index = (low ^ (bytes[i] as number)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
      high = (high >>> 8) ^ (HIGH[index] as number);
    }
    this.#low = low;
    this.#high = high;
  }

  /** As the .xz format stores it: 8 bytes, little-endian. */
  digest(): Buffer {
    const sum = Buffer.alloc(8);
    sum.writeInt32LE(~this.#low, 0);
    sum.writeInt32LE(~this.#high, 4);
    return sum;
  }
}

export function crc64Xz(bytes: Uint8Array): Buffer {
  const crc = new Crc64();
  crc.update(bytes);
  return crc.digest();
}
