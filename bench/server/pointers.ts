import type { Context } from "../../shared/context.ts";
import { pathOf } from "../../shared/objects/keys.ts";

/** A context that tells of each pointer that it has written: to ask for it over and over would take CPU from the work that writes it. */
export function telling(given: Context, tell: (path: string) => void): Context {
  const { putPointer } = given.objects;
  return {
    ...given,
    objects: {
      ...given.objects,
      async putPointer(key, ...rest) {
        const isWritten = await putPointer(key, ...rest);
        if (isWritten) tell(pathOf(key));
        return isWritten;
      },
    },
  };
}
