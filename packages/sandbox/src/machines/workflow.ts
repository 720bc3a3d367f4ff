import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { BuildOrder } from "./machines.ts";

interface WorkflowFile {
  readonly workflows?: Readonly<Record<string, { readonly scripts?: readonly Script[] }>>;
}

type Script = string | { readonly name?: string; readonly script: string };

/** The scripts of one workflow of a `codemagic.yaml`, as CodeMagic would read it from the branch; empty when there is none. */
export function readWorkflow(file: string, workflowId: string): BuildOrder["scripts"] {
  const { workflows } = parse(readFileSync(file, "utf8")) as WorkflowFile;
  return (workflows?.[workflowId]?.scripts ?? []).map((script, index) =>
    typeof script === "string"
      ? { name: `script ${index + 1}`, script }
      : { name: script.name ?? `script ${index + 1}`, script: script.script },
  );
}
