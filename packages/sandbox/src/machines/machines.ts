import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Ec2Machine } from "../ec2/types.ts";
import { createSelfSigned, type SelfSigned } from "./certificate.ts";
import { refuseEscapes, writeCommands } from "./commands.ts";
import { createProcessGroup, type ProcessGroup } from "./group.ts";
import { signIdentity } from "./identity.ts";
import type { MachineFault } from "./light/fate.ts";
import { type Metadata, startMetadata } from "./metadata.ts";
import { type BootPlan, readUserData, relocate } from "./user-data.ts";

export interface BuildOrder {
  readonly buildId: string;
  /** The workflow's scripts, in order. */
  readonly scripts: readonly { readonly name: string; readonly script: string }[];
  readonly variables: Readonly<Record<string, string>>;
}

/** One request for a registration, as the machine saw it. */
export interface MachineClaim {
  readonly from: number;
  /** It was no claim of an honest machine for itself: another's ticket, or one more while its job runs. */
  readonly isRude?: boolean;
  until?: number;
  /** 0 when no answer came; absent when the machine ended first. */
  status?: number;
  /** Whose registration it was handed, and kept. */
  runnerName?: string;
}

export interface MachineRecord {
  readonly id: string;
  readonly kind: "ec2" | "build";
  readonly startedAt: number;
  endedAt?: number;
  /** Of the last script; null when it was killed. */
  exitCode?: number | null;
  /** Why it could not run at all. */
  failure?: string;
  /** What its fate was, if it had one; light machines only, as what follows. */
  readonly fault?: MachineFault;
  /** When its fault came out: never, for one that was ended before. */
  brokeAt?: number;
  readonly claims?: readonly MachineClaim[];
  console(): string;
}

export interface MachinesOptions {
  readonly now?: () => number;
  /** How long a machine takes from the launch until its script runs. */
  readonly bootMs?: number;
  /** The machine called `shutdown`. */
  readonly onShutdown: (instanceId: string) => void;
  /** A build's scripts are through, or one of them failed. */
  readonly onBuildEnd?: (buildId: string, outcome: "finished" | "failed") => void;
}

/** What runs where EC2 and CodeMagic start something. */
export interface Machines {
  /** PEM of the certificate that signs identity documents here. */
  readonly certificate: string;
  /** Every machine ever started. */
  readonly records: readonly MachineRecord[];
  startInstance(machine: Ec2Machine): void;
  startBuild(order: BuildOrder): void;
  /** Ends all its processes and removes its folder. Unknown or ended: nothing. */
  end(id: string): Promise<void>;
  announceInterruption(instanceId: string, atMs: number): void;
  close(): Promise<void>;
}

interface Running {
  readonly record: MachineRecord;
  readonly group: ProcessGroup;
  readonly folder: string;
  /** Aborted when the machine must end. */
  readonly stop: AbortController;
  metadata?: Metadata;
  /** When its capacity is taken back; known before the metadata service is up, if need be. */
  interruptedAt?: number;
}

/** Machines that run the true boot script, each as processes in a folder of its own. */
export function createMachines(options: MachinesOptions): Machines {
  const now = options.now ?? Date.now;
  const signer = createSelfSigned("grp sandbox", now());
  const records: MachineRecord[] = [];
  const machines = new Map<string, { readonly machine: Running; readonly life: Promise<void> }>();

  /** A machine's whole life: its folder, its work, and the end of all it left. */
  async function live(machine: Running, work: (machine: Running) => Promise<void>): Promise<void> {
    try {
      await work(machine);
    } catch (error) {
      machine.record.failure = error instanceof Error ? error.message : String(error);
    } finally {
      await machine.group.end();
      await machine.metadata?.close();
      await rm(machine.folder, { recursive: true, force: true, maxRetries: 5 });
      machine.record.endedAt = now();
    }
  }

  function start(id: string, kind: MachineRecord["kind"], work: (machine: Running) => Promise<void>): void {
    const group = createProcessGroup();
    const record: MachineRecord = { id, kind, startedAt: now(), console: group.console };
    const folder = mkdtempSync(join(tmpdir(), "grp-machine-"));
    const machine: Running = { record, group, folder, stop: new AbortController() };
    records.push(record);
    machines.set(id, { machine, life: live(machine, work) });
  }

  async function end(id: string): Promise<void> {
    const found = machines.get(id);
    found?.machine.stop.abort();
    await found?.machine.group.end();
    await found?.life;
  }

  async function runInstance(machine: Running, instance: Ec2Machine): Promise<void> {
    machine.metadata = await startMetadata({
      values: metadataOf(instance, signer),
      onShutdown: () => options.onShutdown(instance.instanceId),
    });
    if (machine.interruptedAt !== undefined) machine.metadata.announceInterruption(machine.interruptedAt);
    await writeCommands({ ...commandsOf(machine), user: "root", uname: unameOf(instance) });
    await pause(options.bootMs ?? 0, machine.stop.signal);
    const env = environmentOf(machine, { AWS_EC2_METADATA_SERVICE_ENDPOINT: machine.metadata.url });
    machine.record.exitCode = await boot(machine, readUserData(instance.userData), env);
    // A real machine stays on after its script, until something ends it: so does this one.
    if (!machine.stop.signal.aborted) await once(machine.stop.signal, "abort");
  }

  async function runBuild(machine: Running, order: BuildOrder): Promise<void> {
    machine.metadata = await startMetadata({ values: {}, onShutdown: () => {} });
    await writeCommands({ ...commandsOf(machine), user: "builder", uname: MAC });
    await pause(options.bootMs ?? 0, machine.stop.signal);
    const env = environmentOf(machine, {
      ...order.variables,
      CM_BUILD_ID: order.buildId,
      CM_BUILD_DIR: machine.folder,
    });
    const exitCode = await runScripts(machine, order.scripts, env);
    machine.record.exitCode = exitCode;
    if (!machine.stop.signal.aborted)
      options.onBuildEnd?.(order.buildId, exitCode === 0 ? "finished" : "failed");
  }

  return {
    certificate: signer.certificate,
    records,
    startInstance: (instance) =>
      start(instance.instanceId, "ec2", (machine) => runInstance(machine, instance)),
    startBuild: (order) => start(order.buildId, "build", (machine) => runBuild(machine, order)),
    end,
    announceInterruption(instanceId, atMs) {
      const found = machines.get(instanceId)?.machine;
      if (!found) return;
      found.interruptedAt = atMs;
      found.metadata?.announceInterruption(atMs);
    },
    async close() {
      await Promise.all([...machines.keys()].map(end));
    },
  };
}

/** Nothing of the caller's environment but PATH, behind the stand-ins: no secret can leak into a machine. */
function environmentOf(
  machine: Running,
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  const { folder } = machine;
  return {
    HOME: folder,
    TMPDIR: folder,
    LANG: "C.UTF-8",
    GRP_ROOT: join(folder, "grp"),
    ...variables,
    PATH: `${join(folder, "bin")}:${process.env.PATH ?? "/usr/bin:/bin"}`,
  };
}

const MAC = { system: "Darwin", machine: "arm64" };

function unameOf({ instanceType, architecture }: Ec2Machine): { system: string; machine: string } {
  if (instanceType.startsWith("mac")) return MAC;
  return { system: "Linux", machine: architecture === "arm64" ? "aarch64" : "x86_64" };
}

function commandsOf(machine: Running): { folder: string; log: string; controlUrl: string } {
  const { folder, metadata } = machine;
  return { folder: join(folder, "bin"), log: join(folder, "commands.log"), controlUrl: metadata?.url ?? "" };
}

async function boot(
  machine: Running,
  userData: BootPlan,
  env: Record<string, string>,
): Promise<number | null> {
  const plan = relocate(userData, machine.folder);
  for (const file of plan.files) {
    refuseEscapes(file.content);
    await mkdir(dirname(file.path), { recursive: true });
    await writeFile(file.path, file.content);
    await chmod(file.path, file.mode);
  }
  let exitCode: number | null = 0;
  for (const command of plan.commands) {
    refuseEscapes(command.join(" "));
    exitCode = await machine.group.run(command, { cwd: machine.folder, env });
  }
  return exitCode;
}

/** As CodeMagic runs a workflow: one script after the other, until one fails. */
async function runScripts(
  machine: Running,
  scripts: BuildOrder["scripts"],
  env: Record<string, string>,
): Promise<number | null> {
  for (const [index, { script }] of scripts.entries()) {
    refuseEscapes(script);
    const file = join(machine.folder, `script-${index}.sh`);
    await writeFile(file, script.startsWith("#!") ? script : `#!/usr/bin/env bash\nset -e\n${script}`);
    await chmod(file, 0o755);
    const exitCode = await machine.group.run([file], { cwd: machine.folder, env });
    if (exitCode !== 0) return exitCode;
  }
  return 0;
}

function metadataOf(instance: Ec2Machine, signer: SelfSigned): Record<string, string> {
  const { document, signature, rsa2048 } = signIdentity(instance, signer);
  return {
    "meta-data/instance-id": instance.instanceId,
    "meta-data/instance-type": instance.instanceType,
    "meta-data/local-ipv4": instance.privateIp,
    "meta-data/placement/region": instance.region,
    "meta-data/placement/availability-zone": instance.availabilityZone,
    "dynamic/instance-identity/document": document,
    "dynamic/instance-identity/signature": signature,
    "dynamic/instance-identity/rsa2048": rsa2048,
    "user-data": instance.userData,
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
