const LETTERS = 26;
/** The golden ratio's part: multiples of it lie far from each other, however many there are. */
const STEP = 0.618034;

const ADDED = /^[a-z]{2}-packhouse-bench-\d+$/;

/** Two letters that rise with a place from 0 to 1. */
export function lettersAt(place: number): string {
  const at = Math.floor(place * LETTERS ** 2);
  return String.fromCharCode(97 + Math.floor(at / LETTERS), 97 + (at % LETTERS));
}

/** The name of a package that is added while measuring. They are spread over the alphabet: each falls into another leaf. */
export function addedName(number: number): string {
  return `${lettersAt((number * STEP) % 1)}-packhouse-bench-${number}`;
}

export function isAdded(name: string): boolean {
  return ADDED.test(name);
}
