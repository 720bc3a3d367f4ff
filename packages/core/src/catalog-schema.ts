import { z } from "zod";
import { unlessMissing } from "./catalog-issues.ts";
import { duration, flag, fullName, listOf, number, text } from "./catalog-values.ts";

/**
 * Of a machine's life. In less it could neither boot nor begin a job, and each would be ended for the next; no job lasts
 * longer: GitHub ends one on a self-hosted runner after five days, a whole run after 35.
 * https://docs.github.com/actions/reference/limits
 */
const lifetime = duration("5s", "30d");

/** In which a provider counts what it is asked for. */
const countingWindow = duration("1s", "1d");

const stringList = listOf(text);

/** Also an enterprise's (`name_company`); GitHub knows no pattern of owners. */
const login = z
  .string()
  .regex(/^[\w-]+$/, 'must be a GitHub login such as "acme": no address, no "/", no "*"');

/** GitHub takes spaces within one. A comma divides several where they stand as one text. */
const label = z
  .string()
  .regex(/^[^\s,]+( +[^\s,]+)*$/, "must be one label, without commas and without spaces at its ends");

const image = z.union(
  [
    z.strictObject({ id: z.string().regex(/^ami-[0-9a-f]+$/, 'must be an AMI id such as "ami-0abc"') }),
    z.strictObject({
      ssm: z.string().startsWith("/", "must be the path of an SSM parameter, beginning with /"),
    }),
    z.strictObject({ owner: text, name: text }),
  ],
  unlessMissing("must be { id: ami-… }, { ssm: /… } or { owner: …, name: … }"),
);

const ec2Offering = z.strictObject({
  provider: z.literal("ec2"),
  region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d$/, 'must be an AWS region such as "us-east-1"'),
  image,
  /** Tried in order, each in every subnet. */
  instanceTypes: stringList,
  subnets: stringList,
  securityGroups: stringList,
  market: z.enum(["spot", "on-demand"]).default("on-demand"),
  volume: z
    .strictObject({
      sizeGiB: number(z.number().int().min(8).max(16_384)).default(30),
      iops: number(z.number().int().min(3_000)).optional(),
      throughputMiBps: number(z.number().int().min(125)).optional(),
      /** The image's root device; `/dev/sda1` on Ubuntu and macOS, `/dev/xvda` on Amazon Linux. */
      device: z.string().startsWith("/dev/").default("/dev/sda1"),
    })
    .prefault({}),
  /** Name or ARN. */
  instanceProfile: text.optional(),
  /** mac instances only: a dedicated host, or a host resource group. */
  host: z
    .union(
      [
        z.strictObject({ id: z.string().startsWith("h-") }),
        z.strictObject({ resourceGroup: z.string().startsWith("arn:") }),
      ],
      unlessMissing("must be { id: h-… } or { resourceGroup: arn:… }"),
    )
    .optional(),
});

const codemagicOffering = z.strictObject({
  provider: z.literal("codemagic"),
  /** A name under `codemagicTeams`. */
  team: text.default("default"),
  app: text,
  /** The workflow's key in codemagic.yaml. */
  workflow: text.default("github-runner"),
  branch: text.default("main"),
  instanceType: z.enum(["mac_mini_m2", "mac_mini_m4", "linux_x2", "linux_x4"]).default("mac_mini_m2"),
});

const maxRunners = number(z.number().int().min(1).max(10_000));

const runnerClass = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][\w-]{0,38}$/, "must be letters, digits, - and _, at most 39"),
  labels: listOf(label),
  platform: z.strictObject({ os: z.enum(["linux", "macos"]), arch: z.enum(["arm64", "x64"]) }),
  register: z
    .discriminatedUnion("at", [
      z.strictObject({ at: z.literal("repository") }),
      z.strictObject({ at: z.literal("organization"), group: text.default("Default") }),
    ])
    .prefault({ at: "repository" }),
  offerings: z
    .array(z.discriminatedUnion("provider", [ec2Offering, codemagicOffering]))
    .min(1, "must have one or more (is every one of them disabled?)"),
  maxRunners,
  /** Of these, for one repository: the rest stays for the others. */
  maxRunnersPerRepository: maxRunners.optional(),
  /** The higher goes first wherever classes wait for the same: the queue, a shared cap, GitHub's limits. */
  priority: number(z.number().int().min(0).max(100)).default(0),
  /** From the provider's call until the machine claims. */
  bootTimeout: lifetime.default(600_000),
  /** From the claim until a workflow job begins. */
  idleTimeout: lifetime.default(300_000),
  maxRuntime: lifetime.default(21_600_000),
  /** Only these may use it; without it, every allowed one. */
  repositories: listOf(fullName).optional(),
  /** Any fork's pull request can run code on a public repository's runner. */
  allowPublicRepositories: flag().default(false),
  /** Leaves the instance metadata service open to the job (its instance profile's credentials with it). */
  exposeMetadata: flag().default(false),
});

/** How long a machine of a class may take for each part of its life. */
const limitNames = { bootTimeout: true, idleTimeout: true, maxRuntime: true } as const;

/** What counts for a class that says nothing else, or that has left the catalog while its machines run. */
export const DEFAULT_CLASS_LIMITS = runnerClass.pick(limitNames).parse({});

const bucket = (burst: number, perSecond: number) =>
  z
    .strictObject({
      burst: number(z.number().int().min(1)).default(burst),
      perSecond: number(z.number().positive()).default(perSecond),
    })
    .prefault({});

/** What AWS, GitHub and CodeMagic publish; to be raised where they granted more. */
const limits = z
  .strictObject({
    /** Per account and region. https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html */
    ec2: z
      .strictObject({
        /**
         * Machines in one RunInstances call. AWS advises several calls of a hundred over one of five hundred.
         * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
         */
        launchSize: number(z.number().int().min(1).max(1_000)).default(100),
        runInstances: bucket(5, 2),
        /** Machines, over all RunInstances calls. */
        instances: bucket(1_000, 2),
        terminateInstances: bucket(100, 5),
        /** Machines, over all TerminateInstances calls. */
        endedInstances: bucket(1_000, 20),
        describe: bucket(100, 20),
      })
      .prefault({}),
    /** Per installation of the App, or per token. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api */
    github: z
      .strictObject({
        /** A read costs one, a write five. */
        points: number(z.number().int().min(10)).default(900),
        window: countingWindow.default(60_000),
        concurrent: number(z.number().int().min(1)).default(100),
        /** Runners, per repository or organization. https://docs.github.com/actions/reference/limits */
        registrations: z
          .strictObject({
            most: number(z.number().int().min(1)).default(1_500),
            window: countingWindow.default(300_000),
          })
          .prefault({}),
      })
      .prefault({}),
    /** Per user whose token it is. https://docs.codemagic.io/rest-api/codemagic-rest-api/ */
    codemagic: z
      .strictObject({
        requests: number(z.number().int().min(10)).default(5_000),
        window: countingWindow.default(3_600_000),
      })
      .prefault({}),
  })
  .prefault({});

/** The whole of `runners.yaml`, as parsed YAML after `${NAME}` and `enabled` have been dealt with. */
export const catalogSchema = z.strictObject({
  version: z.literal(1),
  allow: z
    .strictObject({
      owners: listOf(login, 0).default([]),
      repositories: listOf(fullName, 0).default([]),
    })
    .prefault({}),
  codemagicTeams: z
    .record(
      z.string(),
      z.strictObject({
        maxConcurrentBuilds: number(z.number().int().min(1)).default(1),
        /** The plan's limit: 120m, 180m on Enterprise. A class that runs longer can't be served there. */
        maxBuildDuration: duration("1m", "30d").default(7_200_000),
      }),
    )
    .default({}),
  /** Over all classes, for one repository and for one owner; no limit without. */
  maxRunnersPerRepository: maxRunners.optional(),
  maxRunnersPerOwner: maxRunners.optional(),
  limits,
  classes: z.array(runnerClass).min(1, "must have one or more (is every one of them disabled?)"),
});

export type Catalog = z.output<typeof catalogSchema>;
export type RunnerClass = z.output<typeof runnerClass>;
export type Ec2Offering = z.output<typeof ec2Offering>;
export type CodemagicOffering = z.output<typeof codemagicOffering>;
export type Offering = Ec2Offering | CodemagicOffering;
export type ProviderName = Offering["provider"];
