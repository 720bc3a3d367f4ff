export interface CodemagicStandInOptions {
  /** Requests in the stand-in's one hour, told in every answer; not counted without. */
  readonly hourly?: number;
  /** What `x-auth-token` must be. */
  readonly token?: string;
  readonly appId?: string;
  /** By branch, the workflows that CodeMagic knows; none, as with a fresh codemagic.yaml. */
  readonly workflows?: Readonly<Record<string, readonly string[]>>;
  /** Builds that run at once; more are queued. */
  readonly concurrency?: number;
  readonly pageSize?: number;
  /** How long a cancelled build goes on. */
  readonly cancellingMs?: number;
  /** 0 or absent: any free port. */
  readonly port?: number;
  readonly now?: () => number;
  /** A build begins to run. */
  readonly onBuild?: (build: CodemagicBuild) => void;
  /** A build was cancelled or timed out while it lived. */
  readonly onCancel?: (build: CodemagicBuild) => void;
}

export interface CodemagicBuild {
  readonly buildId: string;
  readonly appId: string;
  readonly workflowId: string;
  readonly branch: string;
  readonly instanceType: string | undefined;
  readonly labels: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly status: string;
  readonly isLive: boolean;
}

export type Reply = readonly [status: number, body: unknown];
