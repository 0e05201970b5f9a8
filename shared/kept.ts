/** Of things that are named by their hash, those asked for of late: what was not asked for the longest is the first to go. */
export class Kept<Name extends string, T> {
  readonly #kept = new Map<Name, { readonly one: T; readonly sizeBytes: number }>();
  readonly #mostBytes: number;
  readonly #gone: (one: T) => void;
  #bytes = 0;

  constructor(mostBytes: number, gone: (one: T) => void = () => {}) {
    this.#mostBytes = mostBytes;
    this.#gone = gone;
  }

  find(name: Name): T | undefined {
    const found = this.#kept.get(name);
    if (!found) return undefined;
    this.#kept.delete(name);
    this.#kept.set(name, found);
    return found.one;
  }

  has(name: Name): boolean {
    return this.#kept.has(name);
  }

  /** False where one is there already. What is larger than all that may be kept is gone at once. */
  keep(name: Name, one: T, sizeBytes: number): boolean {
    if (this.#kept.has(name)) return false;
    this.#kept.set(name, { one, sizeBytes });
    this.#bytes += sizeBytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#mostBytes) break;
      this.drop(oldest);
    }
    return true;
  }

  drop(name: Name): void {
    const found = this.#kept.get(name);
    if (!found) return;
    this.#kept.delete(name);
    this.#bytes -= found.sizeBytes;
    this.#gone(found.one);
  }
}

/** Some for each store, as long as it is used. */
export function keptBeside<Name extends string, T>(mostBytes: number): (store: object) => Kept<Name, T> {
  const all = new WeakMap<object, Kept<Name, T>>();
  return (store) => {
    const kept = all.get(store) ?? new Kept(mostBytes);
    all.set(store, kept);
    return kept;
  };
}
