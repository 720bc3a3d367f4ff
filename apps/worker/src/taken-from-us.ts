import { ProvisionError } from "@grp/core";

/** GitHub's answer where a place was deleted or transferred, or is no longer an App's: it shows us no runner there. */
export function isTakenFromUs(error: unknown): boolean {
  return error instanceof ProvisionError && (error.code === "404" || error.code === "app_not_installed");
}
