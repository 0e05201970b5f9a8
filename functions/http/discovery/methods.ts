import type { App } from "../app.ts";

/**
 * Refuses the methods that a path of this surface does not know, telling those that it does. To be called when all routes
 * are there.
 */
export function refuseOtherMethods(app: App): void {
  const known = new Map<string, Set<string>>();
  for (const { method, path } of app.routes) {
    if (method === "ALL" || !/^\/(?:packages|search)(?:\/|$)/.test(path)) continue;
    const methods = known.get(path) ?? new Set();
    known.set(path, methods.add(method));
    if (method === "GET") methods.add("HEAD");
  }
  for (const [path, methods] of known) {
    const allow = [...methods, "OPTIONS"].sort().join(", ");
    app.all(path, (c) => {
      c.header("Allow", allow);
      if (c.req.method === "OPTIONS") return c.body(null, 204);
      const message = `${c.req.method} is not possible here; ${allow} are`;
      return c.json({ msg: message, message }, 405);
    });
  }
}
