import type { Stack } from "../../packages/sandbox/src/stack/index.ts";

/** A page or an answer of the status process, as a person with its password gets it. */
export function getFromOps({ ops, settings }: Stack, path: string): Promise<Response> {
  const credentials = Buffer.from(`${settings.OPS_USER}:${settings.OPS_PASSWORD}`).toString("base64");
  const headers = { authorization: `Basic ${credentials}` };
  return fetch(`${ops?.url}${path}`, { headers, signal: AbortSignal.timeout(5_000) });
}

export async function askOps(stack: Stack, path: string): Promise<unknown> {
  const response = await getFromOps(stack, path);
  if (!response.ok) throw new Error(`ops answered ${response.status} to ${path}`);
  return response.json();
}
