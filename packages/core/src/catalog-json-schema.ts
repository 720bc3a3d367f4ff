import { z } from "zod";
import { catalogSchema } from "./catalog-schema.ts";

type Node = { [key: string]: unknown };

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null;

/** `${NAME}` stands for any value until the environment fills it in. */
const VARIABLE = { type: "string", pattern: "\\$\\{\\w+(:-[^}]*)?\\}" };
const ENABLED = { anyOf: [{ type: "boolean" }, { type: "string" }] };

/**
 * JSON Schema of `runners.yaml` for editors, from the same source as the check: of the file as it is written, so with
 * `${NAME}` in place of a value, and with `enabled`.
 */
export function catalogJsonSchema(): unknown {
  return asWritten(z.toJSONSchema(catalogSchema, { io: "input", unrepresentable: "any" }) as Node);
}

function asWritten(node: Node): Node {
  const copy: Node = {};
  for (const [key, value] of Object.entries(node)) copy[key] = key === "properties" ? value : descend(value);
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

/** What tells one kind of offering from another must stand there. */
function orVariable(schema: unknown): unknown {
  if (!isNode(schema) || "const" in schema || schema.type === "object") return schema;
  const { default: fallback, description, ...rest } = schema;
  const kept = {
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(description ? { description } : {}),
  };
  return { ...kept, anyOf: [rest, VARIABLE] };
}
