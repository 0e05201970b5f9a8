const UNITS = [
  ["year", 365 * 24 * 3600],
  ["day", 24 * 3600],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
] as const;

/** "14 hours, 39 minutes, 19 seconds ago": whole units, zero ones left out. */
export function ago(from: string, now: Date): string {
  let left = Math.max(0, Math.floor((now.getTime() - Date.parse(from)) / 1000));
  const parts: string[] = [];
  for (const [unit, seconds] of UNITS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? "" : "s"}`);
  }
  return `${parts.length > 0 ? parts.join(", ") : "0 seconds"} ago`;
}

/** "52K", "12M": binary units, rounded to whole ones. */
export function humanSize(bytes: number): string {
  const units = ["", "K", "M", "G", "T"];
  let value = bytes;
  let unit = 0;
  // What would round to 1024 of a unit is 1 of the next.
  while (Math.round(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Math.round(value)}${units[unit]}`;
}
