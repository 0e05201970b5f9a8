/** Whether a package's name is wanted: by one of `include` (or none is given), and by none of `exclude`. `*` and `?` only. */
export function globsOf(include: readonly string[], exclude: readonly string[]): (name: string) => boolean {
  return (name) =>
    (include.length === 0 || include.some((glob) => matchesGlob(glob, name))) &&
    !exclude.some((glob) => matchesGlob(glob, name));
}

/** Goes back to the last star only, so that no pattern costs more than its length times the name's. */
export function matchesGlob(glob: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < name.length) {
    if (glob[at] === "*") {
      star = at;
      resume = index;
      at += 1;
    } else if (glob[at] === "?" || glob[at] === name[index]) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      resume += 1;
      index = resume;
    } else {
      return false;
    }
  }
  while (glob[at] === "*") at += 1;
  return at === glob.length;
}
