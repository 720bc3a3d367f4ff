export { type Explanation, explainIgnored, explainWorkflowJob } from "./explain.ts";
export { explain } from "./explain-by-id.ts";
export { formatExplanation } from "./format-explanation.ts";
export * from "./ledger.ts";
export type { ExplainedStep, WorkflowJobStory } from "./story.ts";
export * from "./types.ts";
