import { Command, InvalidArgumentError, Option } from "commander";
import { describeCliSettings } from "../config.ts";
import { type ActFlags, runAct } from "./act.ts";
import { readCatalog } from "./catalog.ts";
import type { CliContext } from "./context.ts";
import { ACTIONS } from "./delivery.ts";
import { CliError } from "./failure.ts";
import { runDead, runExplain, runStatus } from "./look.ts";
import { runPlan } from "./plan.ts";
import { runSend, type SendFlags } from "./send.ts";
import { runTestRunners, type TestRunnersFlags } from "./test-runners.ts";

const DEFAULT_WAIT_S = 900;

/** The whole command line. `open` reads the environment, so that `--help` works whatever is set. */
export function createProgram(open: () => CliContext): Command {
  const program = new Command("grp")
    .description("Self-hosted GitHub Actions runners on demand: look, check, and try.")
    .addHelpText(
      "after",
      `\n${describeCliSettings()}\n\nExit code: 0 done, 1 it did not work, 2 wrong use or settings.`,
    )
    .configureHelp({ showGlobalOptions: true })
    // Before the commands are added, which take it over: an error is thrown, so that the caller has the exit code.
    .exitOverride()
    .showHelpAfterError("(--help says how)");
  addOfflineCommands(program, open);
  addSend(program, open);
  addTestRunners(program, open);
  addLookCommands(program, open);
  return program;
}

function addOfflineCommands(program: Command, open: () => CliContext): void {
  program
    .command("validate")
    .description("check the catalog of runner classes; every fault is told with its place")
    .argument("[file]", "the catalog (default: RUNNERS_FILE, else runners.yaml)")
    .action(async (file?: string) => {
      const context = open();
      const catalog = await readCatalog(context.config, file);
      const names = catalog.classes.map((runnerClass) => runnerClass.name);
      context.print(
        `${file ?? context.config.runnersFile}: good; ${names.length} runner classes: ${names.join(", ")}`,
      );
    });
  program
    .command("plan")
    .description("say what would be launched for a recorded delivery, without any server")
    .argument("<payload>", "file with the JSON (or form) body of a workflow_job delivery")
    .option("-l, --label <label...>", "these labels instead of the payload's")
    .option("--json", "as JSON")
    .action((file: string, flags) => runPlan(open(), file, flags));
}

function addSend(program: Command, open: () => CliContext): void {
  program
    .command("send")
    .description("build, sign and send a delivery as GitHub would")
    .option("-f, --file <payload>", "send this recorded payload")
    .option("-l, --label <label...>", "labels of the job (default: the class's first)")
    .option("-c, --class <name>", "a runner class of the catalog (default: its first)")
    .option("-r, --repository <owner/name>", "repository of the job (default: one that the catalog names)")
    .option("--id <number>", "id of the workflow job (default: a new one)", wholeNumber)
    .option("--event <name>", "name of the event", "workflow_job")
    .addOption(new Option("--action <action>", "what happened").choices(ACTIONS).default("queued"))
    .option("--to <url>", "address of the ingress or its webhook (default: WEBHOOK_URL)", webAddress)
    .option("--secret <secret>", "secret to sign with (default: WEBHOOK_TOKEN)")
    .option("--form", "as a form instead of JSON")
    .option("--dry-run", "plan only: nothing is launched")
    .addOption(
      new Option("-w, --wait [seconds]", `follow it until it is done (${DEFAULT_WAIT_S} s at most)`)
        .argParser(wholeNumber)
        .preset(String(DEFAULT_WAIT_S)),
    )
    .action((flags: SendFlags) => runSend(open(), flags));
}

function addTestRunners(program: Command, open: () => CliContext): void {
  program
    .command("test-runners")
    .description(
      "send a dry-run delivery for every runner class to a running instance and say which would launch",
    )
    .option("-c, --class <name...>", "only these classes")
    .option("--to <url>", "address of the ingress or its webhook (default: WEBHOOK_URL)", webAddress)
    .option(
      "-r, --repository <owner/name>",
      "repository of the jobs, where the class serves it (default: one that the catalog names)",
    )
    .option("--secret <secret>", "secret to sign with (default: WEBHOOK_TOKEN)")
    .addOption(
      new Option("--timeout <seconds>", "how long to wait for each plan").argParser(countNumber).default(60),
    )
    .action((flags: TestRunnersFlags) => runTestRunners(open(), flags));
}

function addLookCommands(program: Command, open: () => CliContext): void {
  program
    .command("status")
    .description("warnings, what waits and for what, caps, rate limits, queues and the newest workflow jobs")
    .option("-n, --limit <count>", "how many workflow jobs", countNumber, 10)
    .option("--json", "as JSON")
    .action((flags) => runStatus(open(), flags));
  program
    .command("explain")
    .description("why a workflow job is where it is, and what comes next")
    .argument("<workflow job>", "its id, its key (wfj-…), or the address of its page on GitHub")
    .option("--json", "as JSON")
    .action((what: string, flags) => runExplain(open(), what, flags));
  program
    .command("dead")
    .description("dead letters: demands that failed for good and wait for a person")
    .option("-n, --limit <count>", "how many, newest first", countNumber, 50)
    .option("--history", "every step that led to each")
    .option("--json", "as JSON")
    .action((flags) => runDead(open(), flags));
  for (const verb of ["retry", "dismiss"] as const)
    program
      .command(verb)
      .description(
        verb === "retry" ? "put dead letters back into their queue" : "take dead letters off the list",
      )
      .argument("[key...]", "keys or workflow job ids")
      .option("--all", "all dead letters")
      .option(
        "-c, --class <name>",
        "with --all: only those of this runner class; an error when there are none",
      )
      .action((keys: string[], flags: ActFlags) => runAct(open(), { keys, verb, flags }));
}

function wholeNumber(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError("A whole number is wanted.");
  return Number(text);
}

function countNumber(text: string): number {
  const count = wholeNumber(text);
  if (count === 0) throw new InvalidArgumentError("At least 1 is wanted.");
  return count;
}

/** A wrong one is not shown, as commander would: it may hold a password. */
function webAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new CliError("--to: a URL that begins with http:// or https:// is wanted", 2);
  return text;
}
