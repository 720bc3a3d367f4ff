import {
  type CodemagicBuild,
  type CodemagicStandIn,
  type CodemagicStandInOptions,
  createCodemagicStandIn,
} from "./codemagic/index.ts";
import { createEc2StandIn, type Ec2StandIn, type Ec2StandInOptions } from "./ec2/index.ts";
import { createGitHubStandIn, type GitHubStandIn, type GitHubStandInOptions } from "./github/index.ts";
import {
  createLightMachines,
  createMachines,
  type LightMachinesOptions,
  type Machines,
} from "./machines/index.ts";
import { readWorkflow } from "./machines/workflow.ts";

export interface SandboxOptions {
  readonly github?: GitHubStandInOptions;
  readonly ec2?: Omit<Ec2StandInOptions, "onLaunch" | "onTerminate">;
  readonly codemagic?: Omit<CodemagicStandInOptions, "onBuild" | "onCancel">;
  /** The `codemagic.yaml` that builds run; the shipped one unless told otherwise. */
  readonly workflowFile?: string;
  /** How long each machine takes until its script runs. */
  readonly bootMs?: number;
  /** Machines that only speak the boot script's protocol, thousands in this one process, and that fail on purpose. */
  readonly light?: Omit<LightMachinesOptions, "onShutdown" | "onBuildEnd">;
}

/** The outside world in one process: GitHub, EC2 and CodeMagic over HTTP, and machines that run the true boot scripts. */
export interface Sandbox {
  readonly github: GitHubStandIn;
  readonly ec2: Ec2StandIn;
  readonly codemagic: CodemagicStandIn;
  readonly machines: Machines;
  /** AWS takes a spot instance back: the machine is told first, two minutes before unless told otherwise. */
  interruptSpot(instanceId: string, noticeMs?: number): void;
  close(): Promise<void>;
}

const SHIPPED_WORKFLOW = new URL("../../../deploy/codemagic/codemagic.yaml", import.meta.url).pathname;

export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const workflowFile = options.workflowFile ?? SHIPPED_WORKFLOW;
  const ends: Pick<LightMachinesOptions, "onShutdown" | "onBuildEnd"> = {
    onShutdown: (instanceId) => ec2.shutDown(instanceId),
    onBuildEnd: (buildId, outcome) => codemagic.endBuild(buildId, outcome),
  };
  const { bootMs } = options;
  const machines = options.light
    ? createLightMachines({ ...options.light, ...ends })
    : createMachines({ ...(bootMs !== undefined && { bootMs }), ...ends });
  const startBuild = ({ buildId, workflowId, variables }: CodemagicBuild) =>
    machines.startBuild({ buildId, variables, scripts: readWorkflow(workflowFile, workflowId) });
  const github = await createGitHubStandIn(options.github);
  const ec2: Ec2StandIn = await createEc2StandIn({
    ...options.ec2,
    onLaunch: machines.startInstance,
    onTerminate: (machine) => void machines.end(machine.instanceId),
  });
  const codemagic: CodemagicStandIn = await createCodemagicStandIn({
    ...options.codemagic,
    onBuild: startBuild,
    onCancel: ({ buildId }) => void machines.end(buildId),
  });
  const interruptions = new Set<NodeJS.Timeout>();
  return {
    github,
    ec2,
    codemagic,
    machines,
    interruptSpot(instanceId, noticeMs = 120_000) {
      machines.announceInterruption(instanceId, Date.now() + noticeMs);
      interruptions.add(setTimeout(() => ec2.interruptSpot(instanceId), noticeMs));
    },
    async close() {
      interruptions.forEach(clearTimeout);
      await machines.close();
      await Promise.all([github.close(), ec2.close(), codemagic.close()]);
    },
  };
}
