/** What a dry run found out about one offering. */
export interface PlannedOffering {
  readonly provider: string;
  /** One line a person understands: `us-east-1 t4g.large spot, subnet-a`. */
  readonly summary: string;
  readonly verdict: "would-launch" | "refused" | "not-checked";
  readonly why?: string;
}

/** The result of a dry run: what would be launched, where, and why not if not. Holds no secret. */
export interface Plan {
  readonly key: string;
  readonly repository: string;
  readonly labels: readonly string[];
  readonly runnerClass: string | null;
  readonly registersAt: string | null;
  /** Why nothing would be launched, if so. */
  readonly ignored?: string;
  /** Whether GitHub would let us register a runner there. */
  readonly github: { readonly verdict: "allowed" | "refused" | "not-checked"; readonly why?: string };
  readonly offerings: readonly PlannedOffering[];
}

/** Whether the plan ends in a machine and a registration, as far as was checked. */
export function isLaunchable(plan: Plan): boolean {
  const hasOffering = plan.offerings.some((offering) => offering.verdict !== "refused");
  return plan.runnerClass !== null && plan.github.verdict !== "refused" && hasOffering;
}

/** The plan as a person reads it, lines without colour. */
export function formatPlan(plan: Plan): string {
  const lines = [`plan for ${plan.key}: ${plan.repository}, labels [${plan.labels.join(", ")}]`];
  if (plan.runnerClass === null)
    return [...lines, `  nothing would be launched: ${plan.ignored ?? "no class"}`].join("\n");
  lines.push(`  class ${plan.runnerClass}, registers at ${plan.registersAt ?? "?"}`);
  lines.push(`  GitHub registration: ${withWhy(plan.github)}`);
  for (const [index, offering] of plan.offerings.entries()) {
    lines.push(`  ${index + 1}. ${offering.provider}: ${offering.summary}: ${withWhy(offering)}`);
  }
  return lines.join("\n");
}

function withWhy(item: { readonly verdict: string; readonly why?: string }): string {
  return item.why ? `${item.verdict} (${item.why})` : item.verdict;
}
