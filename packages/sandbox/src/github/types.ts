import type { Scope } from "@grp/core";

export interface StandInRunner {
  readonly id: number;
  readonly name: string;
  readonly scope: Scope;
  readonly labels: readonly string[];
  readonly groupId: number;
  readonly mintedAt: number;
  status: "offline" | "online";
  busy: boolean;
  /** Set when it is off GitHub's list, and why. */
  gone?: "job-done" | "deleted";
  /** What its program said when it connected. */
  version?: string | undefined;
  onlineAt?: number;
  goneAt?: number;
  /** The one job it ran. */
  workflowJobId?: number;
}

export interface StandInWorkflowJob {
  readonly id: number;
  readonly runId: number;
  readonly runAttempt: number;
  readonly owner: string;
  readonly repository: string;
  readonly isPrivate: boolean;
  readonly name: string;
  readonly workflowName: string;
  readonly labels: readonly string[];
  readonly durationMs: number;
  /** How it ends if nobody cancels it. */
  readonly ending: "success" | "failure";
  readonly queuedAt: number;
  status: "queued" | "in_progress" | "completed";
  conclusion: "success" | "failure" | "cancelled" | null;
  runnerId?: number;
  runnerName?: string;
  startedAt?: number;
  completedAt?: number;
}

/** Where a hook is set up, and whose events it gets. */
export type HookPlace =
  /** The first App's unless told otherwise. */
  | { readonly kind: "app"; readonly appId?: number }
  | { readonly kind: "repository"; readonly owner: string; readonly repository: string }
  | { readonly kind: "organization"; readonly owner: string };

export interface StandInHook {
  readonly id: number;
  readonly place: HookPlace;
  readonly url: string;
  readonly secret: string;
  readonly contentType: "json" | "form";
}

export interface StandInDelivery {
  readonly id: number;
  /** Shared by every hook that gets the event, and by redeliveries. */
  readonly guid: string;
  readonly hookId: number;
  readonly event: string;
  readonly action: string | null;
  readonly payload: object;
  readonly isRedelivery: boolean;
  readonly sentAt: number;
  /** What the receiver answered; `dropped` or a network failure give 502. */
  statusCode: number;
  status: string;
  durationMs: number;
  /** A delivery that is held up on its way is sent long before. */
  answeredAt?: number;
  /** The receiver's answer, for assertions. */
  answer?: string;
}

/** A request or an answer that GitHub's own description does not allow. */
export interface Violation {
  readonly operation: string;
  readonly where: "request" | "answer";
  readonly status?: number;
  readonly errors: string;
}
