import { z } from "zod";
import { catalogSchema } from "./catalog-schema.ts";
import { VARIABLE } from "./catalog-template.ts";
import { flag } from "./catalog-values.ts";

type Node = { [key: string]: unknown };

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null;

/** `${NAME}` stands for any value until the environment fills it in. */
const VARIABLE_TEXT = { type: "string", pattern: VARIABLE.source };
const { $schema: _ofWholeFiles, ...flagSchema } = schemaOf(flag());
const ENABLED = orVariable(flagSchema);

/**
 * JSON Schema of `runners.yaml` for editors, from the same source as the check: of the file as it is written, so with
 * `${NAME}` in place of a value, and with `enabled`.
 */
export function catalogJsonSchema(): unknown {
  return asWritten(schemaOf(catalogSchema));
}

function schemaOf(schema: z.ZodType): Node {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Node;
}

function asWritten(node: Node): Node {
  const copy: Node = {};
  for (const [key, value] of Object.entries(node)) copy[key] = key === "properties" ? value : descend(value);
  if ("items" in copy) copy.items = orVariable(copy.items);
  if (isNode(node.properties)) copy.properties = writeProperties(node.properties);
  return copy;
}

function descend(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(descend);
  return isNode(value) ? asWritten(value) : value;
}

function writeProperties(properties: Node): Node {
  const written = Object.entries(properties).map(([name, schema]) => [name, orVariable(descend(schema))]);
  const canBeDisabled = "offerings" in properties || "provider" in properties;
  return Object.fromEntries([...written, ...(canBeDisabled ? [["enabled", ENABLED]] : [])]);
}

/** What a variable holds is text, so it can only stand where text is taken; and not for what tells one kind of offering from another. */
function orVariable(schema: unknown): unknown {
  if (!isNode(schema) || !takesText(schema)) return schema;
  const { default: fallback, description, ...rest } = schema;
  const kept = {
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(description ? { description } : {}),
  };
  return { ...kept, anyOf: [rest, VARIABLE_TEXT] };
}

function takesText(schema: unknown): boolean {
  if (!isNode(schema) || "const" in schema) return false;
  return schema.type === "string" || (Array.isArray(schema.anyOf) && schema.anyOf.some(takesText));
}
