import { isText, sameBytes } from "./index-characters.ts";

/** An attribute, by the bytes of its name and of its value between the quotes. */
export type AttributeSpan = { nameStart: number; nameEnd: number; valueStart: number; valueEnd: number };

const NUMBERS = 4;

export function attributeNamed(
  bytes: Buffer,
  attributes: readonly AttributeSpan[],
  name: string,
): AttributeSpan | undefined {
  for (const one of attributes) if (isText(bytes, one.nameStart, one.nameEnd, name)) return one;
  return undefined;
}

/** The attributes of one element after the other, of which hardly any is asked for: as numbers, in memory that is used again. */
export class AttributeSpans {
  readonly #places: number[] = [];
  #end = 0;

  clear(): void {
    this.#end = 0;
  }

  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    const places = this.#places;
    places[this.#end] = nameStart;
    places[this.#end + 1] = nameEnd;
    places[this.#end + 2] = valueStart;
    places[this.#end + 3] = valueEnd;
    this.#end += NUMBERS;
  }

  /** Whether there is one with the name that stands there. */
  has(bytes: Buffer, nameStart: number, nameEnd: number): boolean {
    for (let i = 0; i < this.#end; i += NUMBERS) {
      if (sameBytes(bytes, this.#places[i] ?? 0, this.#places[i + 1] ?? 0, nameStart, nameEnd)) return true;
    }
    return false;
  }

  /** What they lie in moved towards its beginning. */
  rebase(count: number): void {
    for (let i = 0; i < this.#end; i++) this.#places[i] = (this.#places[i] ?? 0) - count;
  }

  list(): AttributeSpan[] {
    const list: AttributeSpan[] = [];
    const at = (i: number) => this.#places[i] ?? 0;
    for (let i = 0; i < this.#end; i += NUMBERS) {
      list.push({ nameStart: at(i), nameEnd: at(i + 1), valueStart: at(i + 2), valueEnd: at(i + 3) });
    }
    return list;
  }
}
