const JSON_TYPE = ["application/json", "application/*", "*/*"] as const;
const HTML_TYPE = ["text/html", "text/*", "*/*"] as const;

/** Whether a page is wanted rather than JSON, by the weights of `Accept` (RFC 9110 12.5.1); programs that want nothing get JSON. */
export function prefersHtml(accept: string | undefined): boolean {
  const ranges = rangesOf(accept ?? "*/*");
  const weight = (types: readonly string[]) => types.map((type) => ranges.get(type)).find((one) => one !== undefined);
  return (weight(HTML_TYPE) ?? 0) > (weight(JSON_TYPE) ?? 0);
}

/** Media ranges with their weights; one without any weighs 1, one with a weight that makes no sense nothing. */
function rangesOf(accept: string): Map<string, number> {
  const ranges = new Map<string, number>();
  for (const part of accept.split(",")) {
    const [type = "", ...parameters] = part.split(";").map((one) => one.trim().toLowerCase());
    const told = parameters.find((one) => one.startsWith("q="))?.slice(2);
    const weight = told === undefined ? 1 : /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(told) ? Number(told) : 0;
    ranges.set(type, Math.max(weight, ranges.get(type) ?? 0));
  }
  return ranges;
}
