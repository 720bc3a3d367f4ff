export type { Disturbance } from "./disturbance.ts";
export {
  createGitHubStandIn,
  type GitHubCall,
  type GitHubStandIn,
  type GitHubStandInOptions,
} from "./stand-in.ts";
export type {
  HookPlace,
  StandInDelivery,
  StandInHook,
  StandInRunner,
  StandInWorkflowJob,
  Violation,
} from "./types.ts";
export type { QueueOrder } from "./world.ts";
