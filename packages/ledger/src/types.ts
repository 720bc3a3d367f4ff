import type { Demand, IgnoreReason, Instance, ProviderName, QueueEntry, Scope } from "@grp/core";

/** GitHub's own states of a workflow job as far as we saw them; forward only. */
export type WorkflowJobState = "queued" | "in_progress" | "completed";

/** What became of the demand as such. `waiting` until one of the others; `failed` is a dead letter. */
export type DemandState = "waiting" | "served" | "cancelled" | "failed" | "dismissed";

/** Steps of one runner, in order; a later one is never undone by an earlier one that arrives late. */
export const RUNNER_STEPS = [
  "launching",
  "launched",
  "booted",
  "claimed",
  "online",
  "busy",
  "finished",
  "gone",
] as const;
export type RunnerStep = (typeof RUNNER_STEPS)[number];

/** Epoch ms of every step that happened. */
export type StepTimes<S extends string> = { readonly [step in S]?: number };

export interface Note {
  readonly at: number;
  /** `failed`, `interrupted`, `retry`, `cap`, `no-capacity`, `skipped`, …: a word to count by. */
  readonly kind: string;
  readonly text: string;
}

export interface WorkflowJobRecord {
  readonly key: string;
  readonly demand: Demand;
  readonly workflowJobState: WorkflowJobState;
  readonly demandState: DemandState;
  readonly conclusion?: string;
  readonly times: StepTimes<"queued" | "received" | "enqueued" | "inProgress" | "completed" | "failed">;
  /** The runner that really took it, as GitHub said; ours or not. */
  readonly servedBy?: string;
  /** Launches made on its behalf, oldest first. */
  readonly launchIds: readonly string[];
  /** What it waits for now, if it waits: `cap class:ubuntu-arm64 (3 ahead)`, `budget ec2`, `capacity`, `host`, `throttle`, … */
  readonly waitsFor?: string;
  readonly failure?: {
    readonly at: number;
    readonly errorClass: string;
    readonly code?: string;
    readonly message: string;
  };
  /** Its generation when a person last took it back from the dead letters. */
  readonly revivedGeneration?: number;
  readonly notes: readonly Note[];
}

export interface LaunchRecord {
  readonly launchId: string;
  readonly provider: ProviderName;
  readonly runnerClass: string;
  readonly scope: Scope;
  /** Where its offering stood in the class when it was opened: for people. */
  readonly offeringIndex: number;
  /** Which offering that is (`offeringDigest`); absent where an earlier version opened it. */
  readonly offeringDigest?: string;
  readonly renewal: number;
  readonly size: number;
  /** Whom the machines are for, each beside its runner in `runnerNames`. */
  readonly placeHolders: readonly string[];
  readonly openedAt: number;
  /** Epoch ms; part of the ticket, so fixed here once. */
  readonly ticketExpiresAt: number;
  /** Where the provider's walk over placements stands: written before each call. */
  readonly placement?: string;
  /** Known once the provider answered; absent while the answer is outstanding. Only those that were asked for. */
  readonly instances?: readonly Instance[];
  readonly state: "open" | "launched" | "failed";
  readonly runnerNames: readonly string[];
  /** Machines that claimed with this launch's ticket and were told `taken`; absent while there was none. */
  readonly refusedClaims?: number;
}

/** One machine's worth of supply, from the moment its launch is opened. */
export interface RunnerRecord {
  readonly runnerName: string;
  readonly launchId: string;
  readonly provider: ProviderName;
  readonly runnerClass: string;
  readonly scope: Scope;
  readonly step: RunnerStep;
  readonly times: StepTimes<RunnerStep>;
  readonly instanceId?: string;
  /** The machine as its provider told of it; absent until the launch was answered. */
  readonly instance?: Instance;
  /** GitHub's number, once registered. */
  readonly runnerId?: number;
  /** Key of the workflow job it really ran. */
  readonly workflowJobKey?: string;
  /** Holder of its place under the caps. */
  readonly placeHolder: string;
  /** Its machine claimed, and was told to come back then: others go first at GitHub, or GitHub could not answer. */
  readonly comesBackAt?: number;
  readonly notes: readonly Note[];
}

export interface WorkflowJobUpdate {
  readonly workflowJobId: number;
  /** Whose workflow job it is. A runner of ours that can't serve it is not the one that is named; any can where it is left out. */
  readonly in?: { readonly owner: string; readonly repository: string };
  readonly at: number;
  readonly runnerName?: string;
  readonly runnerId?: number;
  /** `completed` only. */
  readonly conclusion?: string;
  /** To keep a tombstone of a job that was never seen queued: class by labels, if any. */
  readonly demand?: Demand;
}

/** What an update changed. `runner` is ours, if the job ran on one of ours. */
export interface WorkflowJobChange {
  readonly isNew: boolean;
  readonly record?: WorkflowJobRecord;
  readonly runner?: RunnerRecord;
  /** True when a demand that still waited was withdrawn by this update (completed before in_progress). */
  readonly withdrawn: boolean;
}

export interface Cap {
  /** `class:<name>`, `class:<name>|<repository>`, `repository:…`, `owner:…`, `codemagic:<team>`. */
  readonly name: string;
  readonly limit: number;
}

export interface CapCount extends Cap {
  readonly used: number;
  readonly waiting: number;
}

/** Someone who waits for a place, and the queue job to wake when it is granted. */
export interface Waiter {
  readonly holder: string;
  readonly provider: ProviderName;
}

export interface PlaceRequest {
  readonly caps: readonly Cap[];
  readonly holder: string;
  readonly provider: ProviderName;
  readonly flow: string;
  readonly rank: number;
  readonly at: number;
  readonly ttlMs: number;
}

export type PlaceVerdict =
  | { readonly granted: true }
  | { readonly granted: false; readonly cap: string; readonly ahead: number };

export interface OpenLaunch {
  readonly launchId: string;
  readonly provider: ProviderName;
  readonly runnerClass: string;
  readonly scope: Scope;
  readonly offeringIndex: number;
  readonly offeringDigest: string;
  readonly renewal: number;
  /** Queue job ids, one per machine wanted, those first that should have one first; its length is the size. */
  readonly placeHolders: readonly string[];
  readonly runnerNames: readonly string[];
  readonly ticketExpiresAt: number;
  readonly at: number;
  /** Taken with it if it is new, as by `tryLock`: nobody who finds it open can come in between. */
  readonly lock?: { readonly name: string; readonly owner: string; readonly ttlMs: number };
}

/**
 * `covered`: the supply for this class and scope already meets the demand (another launch, or an idle runner, will
 * serve). `busy`: its place has a machine already, by another launch. Opening a launch that exists gives the record as
 * it stands (`isNew` false), but for one that failed: it started nothing, so it is opened anew. A new launch may be
 * smaller than asked: its `size`, `placeHolders` and `runnerNames` count, and the others are told why they are not in it.
 */
export interface OpenLaunchVerdict {
  /** Absent when nobody is left to launch for. */
  readonly opened?: { readonly isNew: boolean; readonly isLocked: boolean; readonly launch: LaunchRecord };
  readonly leftOver: ReadonlyMap<string, "covered" | "busy">;
}

export type ClaimVerdict =
  | {
      readonly outcome: "granted";
      /** Of its instances, this machine's alone: a burst of claims must not read a thousand records each. */
      readonly launch: LaunchRecord;
      readonly runner: RunnerRecord;
      readonly claimNumber: number;
      /** The same machine claimed before: this registration must be deleted first. */
      readonly previousRunnerId?: number;
    }
  | { readonly outcome: "unknown-launch" | "not-recorded" | "not-wanted" | "taken" | "in-progress" };

/** A claim that was granted. With each one the runner's number grows by one, so that only the latest has a say. */
export interface ClaimRef {
  readonly runnerName: string;
  readonly claimNumber: number;
}

/**
 * `ended`: the runner was ended while its registration was minted. `overtaken`: its machine's next claim was granted, the
 * lock being over. In either case nobody else will take this registration off GitHub.
 */
export type FinishVerdict = "registered" | "ended" | "overtaken";

export interface ClassCount {
  readonly runnerClass: string;
  readonly scope: string;
  readonly demand: number;
  readonly supply: number;
}

export interface LongestWait {
  readonly runnerClass: string;
  readonly scope: string;
  readonly ageMs: number;
}

/** A valid workflow job that is none of ours, and why. */
export interface IgnoredWorkflowJob {
  readonly workflowJobId: number;
  readonly owner: string;
  readonly repository: string;
  readonly labels: readonly string[];
  readonly reason: IgnoreReason;
  readonly at: number;
}

/** What one App may still ask at one account, or the holder of a token. */
export interface RateLimit {
  /** `github:app-12:acme`; `github:app-12` for what the App asks for itself, `github:token`; `codemagic:v1`. */
  readonly name: string;
  /** What may be spent within a window, as far as we were let have it of late; and what was, in the last one. */
  readonly limit: number;
  readonly windowMs: number;
  readonly used: number;
  /** Machines in its line, which it may share with other Apps. */
  readonly waiting: number;
  readonly pausedMs: number;
  /** Requests of the other side's own hour, and how long until it is over; absent where it has not said. */
  readonly left?: number;
  readonly resetInMs?: number;
}

/** Not of one workflow job, but of the whole: what will fail if nobody looks. */
export interface Warning {
  /** A word to count by: `runner-version`. */
  readonly kind: string;
  readonly text: string;
  /** When it was first and last seen. */
  readonly since: number;
  readonly at: number;
}

export interface LastSweep {
  readonly at: number;
  /** From one sweep's begin to the next's. */
  readonly everyMs: number;
}

/** What the ledger knows of a demand once a `queued` delivery of it is recorded. */
export interface RecordedDemand {
  readonly isNew: boolean;
  /** It was already. */
  readonly isEnqueued: boolean;
  readonly state: WorkflowJobState;
  readonly demandState: DemandState;
}

/** Where a demand stands as a worker takes it up. */
export interface DemandStanding {
  readonly demandState: DemandState;
  /** The machines on their way and idle meet the workflow jobs that wait, for its class and scope. */
  readonly isCovered: boolean;
  /** As in its record. */
  readonly launchIds: readonly string[];
  readonly waitsFor?: string;
  readonly notes: readonly Note[];
}

/**
 * What happened to each workflow job, launch and runner; caps; claims. Every change is one atomic script, safe to
 * repeat, and takes events in any order. Records are kept 7 days. Rejects with the Redis client's error when Redis is
 * away (bounded by the client's commandTimeout); nothing retries inside. Holds no secret.
 */
export interface Ledger {
  // --- workflow jobs -------------------------------------------------------------------------------------------
  /**
   * A `queued` delivery; with an entry, its queue job is added in the same script, unless one of any generation
   * was added already. Repeats change nothing. A job that has begun or ended is not demand any more, and a dead letter or a
   * dismissed one is not until it is retried: they are not enqueued.
   */
  recordQueued(demand: Demand, entry?: QueueEntry): Promise<RecordedDemand>;
  /**
   * Where a demand stands that came out of its queue; recorded now, if the ledger has not heard of it, or not of this
   * generation: the sweep enqueues first. Many at a time share a round trip.
   */
  takeUp(demand: Demand): Promise<DemandStanding>;
  /** The demand is safely in its queue. */
  markEnqueued(key: string, at: number): Promise<void>;
  recordInProgress(update: WorkflowJobUpdate): Promise<WorkflowJobChange>;
  recordCompleted(update: WorkflowJobUpdate): Promise<WorkflowJobChange>;
  setWaitsFor(key: string, waitsFor: string | null): Promise<void>;
  addNote(key: string, note: Note): Promise<void>;
  /** Ends a demand as a dead letter: listed until retried or dismissed. Idempotent; true only the first time. */
  recordFailure(
    key: string,
    failure: { at: number; errorClass: string; code?: string; message: string; demand?: Demand },
  ): Promise<boolean>;
  /** Takes a dead letter back into demand; the caller enqueues. `ended`: GitHub has ended it, so it is off the list now. */
  reviveDead(key: string): Promise<Demand | "ended" | "not-dead">;
  /** Off the list. False when there is none. */
  dismissDead(key: string, at: number): Promise<boolean>;
  /** Newest first, behind the newest `skip`. */
  listDead(limit: number, skip?: number): Promise<readonly WorkflowJobRecord[]>;
  countDead(): Promise<number>;
  getWorkflowJob(key: string): Promise<WorkflowJobRecord | null>;
  /** Newest first. */
  listWorkflowJobs(limit: number): Promise<readonly WorkflowJobRecord[]>;
  /** Demand not yet started: what the sweep counts. With `most`, only the oldest of each pool; with `of`, of that pool alone. */
  listOpenDemands(
    most?: number,
    of?: { readonly runnerClass: string; readonly scope: Scope },
  ): Promise<readonly WorkflowJobRecord[]>;
  /** Those that run, as far as we heard, and on which runner, the longest first; cheap, for they are not read. */
  listRunning(): Promise<readonly { readonly key: string; readonly servedBy: string }[]>;
  /** Demand not yet started, less what runs already on a runner of ours unheard: see `recordJobEnd`. */
  countByClass(): Promise<readonly ClassCount[]>;
  /** Of each class and scope that has demand: how long the one received first has waited. */
  listLongestWaits(at: number): Promise<readonly LongestWait[]>;

  // --- launches and runners ------------------------------------------------------------------------------------
  openLaunch(order: OpenLaunch): Promise<OpenLaunchVerdict>;
  recordPlacement(launchId: string, placement: string): Promise<void>;
  /**
   * The provider answered: which instance is whose, by place holder. Fewer than asked: the first holders have them, and
   * the runners left over are dropped from supply. `isFirstTry`: no call failed before, after which demands would have been
   * told to wait.
   */
  recordLaunched(
    launchId: string,
    instances: readonly Instance[],
    at: number,
    options?: { readonly isFirstTry?: boolean },
  ): Promise<ReadonlyMap<string, string>>;
  /** Nothing was started, and the provider said so: its runners leave the supply. Places are not released here. */
  recordLaunchFailed(launchId: string, note: Note): Promise<void>;
  /** With the instance of one holder, or the one of that id, alone if so asked: a launch may have a hundred. */
  getLaunch(
    launchId: string,
    only?: { readonly placeHolder: string } | { readonly instanceId: string },
  ): Promise<LaunchRecord | null>;
  getRunner(runnerName: string): Promise<RunnerRecord | null>;
  findRunner(launchId: string, instanceId: string): Promise<RunnerRecord | null>;
  /**
   * Forward only: true when the runner moved. A step that comes late leaves its time and its note and returns false.
   * `busy`, `finished` and `gone` take the runner out of the supply.
   */
  recordStep(runnerName: string, step: RunnerStep, at: number, note?: Note): Promise<boolean>;
  /**
   * Its machine says that its one workflow job is over. Until a delivery names that workflow job, one of those that
   * seem to wait is taken for it, for five minutes: GitHub's word may be late. So it is at the step `busy`.
   */
  recordJobEnd(runnerName: string, at: number): Promise<void>;
  addRunnerNote(runnerName: string, note: Note): Promise<void>;
  /** Runners not yet gone. */
  listLiveRunners(): Promise<readonly RunnerRecord[]>;

  // --- claims --------------------------------------------------------------------------------------------------
  /**
   * Reserves the runner of this machine for `lockMs` so that only one mint is under way. EC2 machines must already be
   * recorded with the launch (`not-recorded` otherwise); a CodeMagic build takes the first runner nobody has.
   * `not-wanted`: as many other runners of this class and scope are claimed and idle as there is demand not yet
   * started; this runner is finished by it and leaves the supply. `taken`: nobody's runner is left for this machine, or
   * its runner is online already.
   */
  beginClaim(claim: {
    launchId: string;
    instanceId: string;
    at: number;
    lockMs: number;
  }): Promise<ClaimVerdict>;
  finishClaim(claim: ClaimRef & { runnerId: number; at: number }): Promise<FinishVerdict>;
  /**
   * No mint, or it failed: the same machine may claim again at once. `comesBackAt`: it was told to come back then. False,
   * and nothing is changed, when the claim was overtaken.
   */
  abandonClaim(claim: ClaimRef, comesBackAt?: number): Promise<boolean>;
  /** We took its registration off GitHub. One that GitHub has no more, and that is not forgotten, had its workflow job. */
  forgetRegistration(registration: { runnerName: string; runnerId: number }): Promise<void>;

  // --- caps ----------------------------------------------------------------------------------------------------
  /**
   * Takes one place under every cap, or none and waits in the line of one that is full, so that nobody holds what it
   * can't use; for one who is first in line again and again where the caps are full by turns, what has room is kept until
   * the other has. Everybody must give the caps in the same order. Lines are served by `rank` (the lowest first), and
   * among equals `flow` by `flow` in turn, however many of one flow wait; those behind one who leaves move up. Repeats are
   * harmless and renew the place, which is freed `ttlMs` after the last one by itself. Who waits, or was granted a place by somebody's release,
   * must ask again within ten minutes. Many at a time share a round trip.
   */
  takePlace(request: PlaceRequest): Promise<PlaceVerdict>;
  /**
   * Gives the holder's places back and leaves every line; returns who was granted a place by it, to be woken. One who
   * `comesBack` finds its turn as it was, for two hours.
   */
  releasePlace(
    holder: string,
    at: number,
    options?: { readonly comesBack?: boolean },
  ): Promise<readonly Waiter[]>;
  /** Everybody who holds a place or stands in a line, each once. */
  listPlaceHolders(): Promise<readonly Waiter[]>;
  listCaps(): Promise<readonly CapCount[]>;
  /** Of a class or team that is no more. A cap that somebody holds or waits for stays. */
  forgetCap(name: string): Promise<void>;
  /** By name; those in use of late. */
  listRateLimits(at: number): Promise<readonly RateLimit[]>;

  // --- plans ---------------------------------------------------------------------------------------------------
  recordPlan(key: string, plan: unknown): Promise<void>;
  getPlan(key: string): Promise<unknown>;

  // --- memory --------------------------------------------------------------------------------------------------
  /** For `grp explain`: the last ten thousand, of the last seven days; a few hundred bytes each. */
  recordIgnored(ignored: IgnoredWorkflowJob): Promise<void>;
  getIgnored(workflowJobId: number): Promise<IgnoredWorkflowJob | null>;
  /** How far somebody has come; for one writer at a time. Null when never set, or older than its `ttlMs`. */
  getMark(name: string): Promise<string | null>;
  setMark(name: string, value: string, ttlMs: number): Promise<void>;
  /** Something that people should see until it is over. True when it is new; it ends `ttlMs` after the last time. */
  raiseWarning(warning: { kind: string; text: string; at: number; ttlMs: number }): Promise<boolean>;
  /** Also that no sweep ends any more, which nobody need raise. */
  listWarnings(at: number): Promise<readonly Warning[]>;
  /** Of a sweep that came to its end. */
  recordSweep(sweep: LastSweep): Promise<void>;
  /** Null when there was none for a month. */
  getLastSweep(): Promise<LastSweep | null>;

  /** One holder at a time across all processes; null when another has it. Renew by calling again. */
  tryLock(name: string, owner: string, ttlMs: number): Promise<boolean>;
  unlock(name: string, owner: string): Promise<void>;
}
