import type { Template } from "aws-cdk-lib/assertions";
import { z } from "zod";

const Resource = z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) });
type Resource = z.infer<typeof Resource>;

const Statement = z.looseObject({
  Effect: z.enum(["Allow", "Deny"]),
  Action: z.union([z.string(), z.array(z.string())]),
  Resource: z.unknown().optional(),
  Principal: z.unknown().optional(),
  Condition: z.unknown().optional(),
});
export type Statement = z.infer<typeof Statement>;

const WithPolicy = z.looseObject({ PolicyDocument: z.object({ Statement: z.array(Statement) }) });

export type Resources = ReadonlyMap<string, Resource>;

export function resourcesOf(template: Template): Resources {
  const { Resources } = z.looseObject({ Resources: z.record(z.string(), Resource) }).parse(template.toJSON());
  return new Map(Object.entries(Resources));
}

/** The one resource of that type whose logical id holds the name (and not what is `without`). */
export function named(resources: Resources, type: string, name: string, without?: RegExp): [string, Resource] {
  const found = [...resources].filter(
    ([id, one]) => one.Type === type && id.includes(name) && !(without?.test(id) ?? false),
  );
  const [first] = found;
  if (first === undefined || found.length > 1)
    throw new Error(`expected one ${type} named ${name}: found ${found.map(([id]) => id).join(", ") || "none"}`);
  return first;
}

export function propertiesOf(resource: unknown): Record<string, unknown> {
  return Resource.parse(resource).Properties;
}

/** The statements of one policy, or of all policies of a type. */
export function statementsOf(template: Template, policy: string | Resource): Statement[] {
  const all = typeof policy === "string" ? Object.values(template.findResources(policy)) : [policy];
  return all.flatMap((one) => WithPolicy.parse(propertiesOf(one)).PolicyDocument.Statement);
}
