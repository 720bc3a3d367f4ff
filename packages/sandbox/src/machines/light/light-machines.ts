import { setMaxListeners } from "node:events";
import type { Ec2Machine } from "../../ec2/types.ts";
import { createSelfSigned } from "../certificate.ts";
import { signIdentity } from "../identity.ts";
import type { MachineClaim, MachineRecord, Machines, MachinesOptions } from "../machines.ts";
import { boot, type LightMachine } from "./boot.ts";
import { createFates, type FateOptions, type MachineFault } from "./fate.ts";
import { readAssignments, readSettings } from "./settings.ts";

export interface LightMachinesOptions extends Omit<MachinesOptions, "bootMs">, FateOptions {
  /** A fault that is no matter of chance, for the EC2 machines that it names one of. */
  readonly faultOf?: (instance: Ec2Machine) => MachineFault | undefined;
  /** Registrations and report tickets as machines get them, for who must look whether they are anywhere else. */
  readonly onGranted?: (secrets: readonly string[]) => void;
}

/** Of what a machine would print, the newest lines. */
const CONSOLE_LINES = 50;

interface Running {
  readonly life: Promise<void>;
  readonly power: AbortController;
  readonly announce: (notice: string) => void;
}

/**
 * Machines without processes: each speaks the boot script's protocol to the ingress and the runner's to GitHub, and takes
 * some kilobytes. For chaos and load; what the script itself does is for `createMachines`.
 */
export function createLightMachines(options: LightMachinesOptions): Machines {
  const now = options.now ?? Date.now;
  const signer = createSelfSigned("grp sandbox", now());
  const drawFate = createFates(options);
  const records: MachineRecord[] = [];
  const running = new Map<string, Running>();
  /** Of the EC2 machines that are on. */
  const tickets = new Map<string, string>();

  function start(
    id: string,
    kind: MachineRecord["kind"],
    compose: () => Pick<LightMachine, "settings" | "identify" | "os" | "arch">,
    sure?: MachineFault,
  ): void {
    const drawn = drawFate();
    const fate = { ...drawn, fault: sure ?? drawn.fault };
    const lines: string[] = [];
    const power = new AbortController();
    // Every pause and call of a machine listens to its power.
    setMaxListeners(0, power.signal);
    const { promise: interruption, resolve: announce } = Promise.withResolvers<string>();
    const claims: MachineClaim[] = [];
    const record: MachineRecord = {
      id,
      kind,
      startedAt: now(),
      ...(fate.fault && { fault: fate.fault }),
      claims,
      console: () => lines.join(""),
    };
    records.push(record);
    const log = (line: string) => {
      lines.push(`${new Date(now()).toISOString()} ${line}\n`);
      if (lines.length > CONSOLE_LINES) lines.shift();
    };
    const onGranted = options.onGranted ?? (() => {});
    const life = live(record, async () => {
      const made = compose();
      if (kind === "ec2") tickets.set(id, made.settings.ticket);
      return boot({
        ...{ ...made, instanceId: id, fate, power: power.signal, interruption, log, onGranted, now, claims },
        anotherTicket: () => [...tickets.values()].findLast((other) => other !== made.settings.ticket),
        onBroken: () => void Object.assign(record, { brokeAt: now() }),
      });
    });
    running.set(id, { life, power, announce });
  }

  async function live(record: MachineRecord, work: () => Promise<number>): Promise<void> {
    try {
      record.exitCode = await work();
      powerOff(record, record.exitCode);
    } catch (error) {
      record.exitCode = null;
      if (!running.get(record.id)?.power.signal.aborted) {
        record.failure = error instanceof Error ? error.message : String(error);
        powerOff(record, 1);
      }
    }
    record.endedAt = now();
    running.delete(record.id);
    tickets.delete(record.id);
  }

  function powerOff({ id, kind }: MachineRecord, exitCode: number): void {
    if (kind === "ec2") options.onShutdown(id);
    else options.onBuildEnd?.(id, exitCode === 0 ? "finished" : "failed");
  }

  async function end(id: string): Promise<void> {
    const found = running.get(id);
    found?.power.abort();
    await found?.life;
  }

  return {
    certificate: signer.certificate,
    records,
    startInstance(instance) {
      const compose = () => ({
        settings: readSettings(readAssignments(instance.userData)),
        identify: () => identify(instance, signer),
        os: instance.instanceType.startsWith("mac") ? ("macos" as const) : ("linux" as const),
        arch: instance.architecture === "arm64" ? ("arm64" as const) : ("x64" as const),
      });
      start(instance.instanceId, "ec2", compose, options.faultOf?.(instance));
    },
    startBuild: ({ buildId, variables }) =>
      start(buildId, "build", () => ({
        settings: readSettings(variables),
        identify: () => ({}),
        os: "macos",
        arch: "arm64",
      })),
    end,
    announceInterruption(instanceId, atMs) {
      const time = new Date(atMs).toISOString().replace(/\.\d+/, "");
      running.get(instanceId)?.announce(JSON.stringify({ action: "terminate", time }));
    },
    async close() {
      await Promise.all([...running.keys()].map(end));
    },
  };
}

function identify(instance: Ec2Machine, signer: Parameters<typeof signIdentity>[1]) {
  const { document, rsa2048 } = signIdentity(instance, signer);
  return {
    identityDocument: Buffer.from(document).toString("base64"),
    identitySignature: rsa2048.replaceAll("\n", ""),
  };
}
