import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { type Answer, type Asked, createMachine, startWorld } from "../testing/boot-machine.ts";
import { bootBody } from "./script.ts";

const TICKET = "grp1.the-launch-ticket.sig";
const REPORT_TICKET = "grp1.the-report-ticket.sig";
const JIT = `${Buffer.from("the registration of one runner").toString("base64")}==`;

/** What the runner program does once the registration has reached it. */
const WORKS = 'echo "Listening for Jobs"; sleep 0.2; echo "Running job: build"; sleep 0.3; exit 0';

function packRunner(work: string): { archive: Buffer; sha256: string } {
  const folder = mkdtempSync(join(tmpdir(), "grp-runner-"));
  const script = `#!/bin/bash
printf '%s' "$ACTIONS_RUNNER_INPUT_JITCONFIG" > got-jit
env > got-env
mkdir -p _diag; echo "diag line" > _diag/Runner_1.log
${work}
`;
  writeFileSync(join(folder, "run.sh"), script, { mode: 0o755 });
  execFileSync("tar", ["-czf", "runner.tar.gz", "run.sh"], { cwd: folder });
  const archive = readFileSync(join(folder, "runner.tar.gz"));
  rmSync(folder, { recursive: true });
  return { archive, sha256: createHash("sha256").update(archive).digest("hex") };
}

interface Scene {
  readonly platform?: "linux" | "macos" | "codemagic";
  readonly work?: string;
  readonly sha256?: string;
  /** In place of the registration, one after the other. */
  readonly claims?: readonly Answer[];
  readonly env?: Record<string, string>;
  /** AWS's notice that it takes the machine back, seen at once or once it has claimed. */
  readonly spot?: { readonly notice: string; readonly isLate: boolean };
  /** What the metadata service has not yet when it is first asked for it. */
  readonly late?: string;
  readonly commands?: Record<string, string>;
  /** Awaited before that request is answered. */
  readonly hold?: (asked: Asked) => Promise<unknown> | undefined;
}

describe("the boot script", function () {
  this.timeout(30_000);
  const cleanups: (() => void | Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  async function play(scene: Scene = {}) {
    const runner = packRunner(scene.work ?? WORKS);
    const claims = [...(scene.claims ?? [])];
    const registration = () =>
      Object.entries({
        runner_name: "grp-1-0",
        jit_config: JIT,
        report_ticket: REPORT_TICKET,
        runner_url: `${world.url}/runner.tar.gz`,
        runner_sha256: scene.sha256 ?? runner.sha256,
        runner_version: "2.337.0",
        runner_filename: "actions-runner.tar.gz",
      })
        .map(([name, value]) => `${name}=${value}\n`)
        .join("");
    const metadata: Readonly<Record<string, string | undefined>> = {
      "api/token": "imds-token",
      "meta-data/instance-id": "i-123",
      "dynamic/instance-identity/document": '{\n "instanceId": "i-123"\n}',
      "dynamic/instance-identity/rsa2048": "MIAG\nSIGN\n",
    };
    const notice = () =>
      !scene.spot?.isLate || world.asked.some(({ path }) => path === "/claims")
        ? scene.spot?.notice
        : undefined;
    let late = scene.late;
    const answer = async (asked: Asked): Promise<Answer | undefined> => {
      await scene.hold?.(asked);
      const { path } = asked;
      if (late !== undefined && path === `/latest/${late}`) {
        late = undefined;
        return { status: 404 };
      }
      const name = path.replace(/^\/latest\//, "");
      const value = name === "meta-data/spot/instance-action" ? notice() : metadata[name];
      if (value !== undefined) return { status: 200, body: value };
      const served: Readonly<Record<string, () => Answer>> = {
        "/claims": () => claims.shift() ?? { status: 200, body: registration() },
        "/claims/report": () => ({ status: 204 }),
        "/runner.tar.gz": () => ({ status: 200, body: `base64:${runner.archive.toString("base64")}` }),
      };
      return served[path]?.();
    };
    const world = await startWorld(answer);
    const machine = createMachine();
    cleanups.push(world.close, machine.remove);
    for (const [name, text] of Object.entries(scene.commands ?? {})) machine.put(name, text);
    const result = await machine.run(`#!/bin/bash\n${bootBody(scene.platform ?? "linux")}`, {
      GRP_URL: world.url,
      GRP_TICKET: TICKET,
      GRP_LAUNCH: "l-1",
      GRP_BOOT_TIMEOUT: "20",
      GRP_IDLE_TIMEOUT: "20",
      GRP_MAX_RUNTIME: "20",
      AWS_EC2_METADATA_SERVICE_ENDPOINT: world.url,
      CM_BUILD_ID: "build-1",
      ...scene.env,
    });
    const reports = world.asked
      .filter((asked) => asked.path === "/claims/report")
      .map((asked) => ({ ...JSON.parse(asked.body), token: asked.authorization }));
    const phases = reports.map((report) => report.phase as string);
    return {
      ...result,
      world,
      machine,
      reports,
      phases,
      claims: world.asked.filter((a) => a.path === "/claims"),
    };
  }

  for (const platform of ["linux", "macos", "codemagic"] as const) {
    it(`claims, fetches, runs one workflow job, reports and ends on ${platform}`, async () => {
      const { machine, phases, reports, claims, output, code } = await play({ platform });
      expect(phases, output).to.deep.equal(["booted", "downloaded", "online", "finished"]);
      expect(code).to.equal(0);
      expect(reports.map((report) => report.token)).to.deep.equal([
        `Bearer ${TICKET}`,
        ...Array(3).fill(`Bearer ${REPORT_TICKET}`),
      ]);
      expect(machine.read("opt/runner/got-jit")).to.equal(JIT);
      const claim = JSON.parse(claims[0]?.body ?? "{}");
      if (platform === "codemagic") {
        expect(claim).to.have.all.keys("instanceId", "os", "arch").and.include({ instanceId: "build-1" });
        expect(machine.calls("shutdown")).to.deep.equal([]);
      } else {
        expect(claim).to.include({ instanceId: "i-123", os: platform, identitySignature: "MIAGSIGN" });
        expect(Buffer.from(claim.identityDocument, "base64").toString()).to.equal(
          '{\n "instanceId": "i-123"\n}',
        );
        const [armed, ended] = machine.calls("shutdown");
        expect(armed).to.match(/^shutdown -h \+\d+$/);
        expect(ended).to.equal("shutdown -h now");
      }
    });
  }

  for (const late of [
    "meta-data/instance-id",
    "dynamic/instance-identity/document",
    "dynamic/instance-identity/rsa2048",
  ]) {
    it(`asks again for ${late} when it is not there yet`, async () => {
      const { claims, phases, output } = await play({ late });
      expect(phases, output).to.deep.equal(["booted", "downloaded", "online", "finished"]);
      const claim = JSON.parse(claims[0]?.body ?? "{}");
      expect(claim).to.include({ instanceId: "i-123", identitySignature: "MIAGSIGN" });
      expect(claim.identityDocument).not.to.equal("");
    });
  }

  it("gives the runner an environment without the ticket or our address", async () => {
    const { machine, world } = await play({ env: { AWS_SECRET_ACCESS_KEY: "leak" } });
    const env = machine.read("opt/runner/got-env");
    for (const secret of [TICKET, REPORT_TICKET, world.url, "leak", "GRP_"])
      expect(env).not.to.include(secret);
    expect(env).to.include("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1");
    expect(env)
      .to.match(/^HOME=/m)
      .and.not.to.include("RUNNER_ALLOW_RUNASROOT");
  });

  it("closes the metadata service to the runner's user before it claims", async () => {
    const { machine } = await play();
    expect(machine.calls("iptables").join()).to.include(
      "-d 169.254.169.254 -m owner --uid-owner grp-runner -j REJECT",
    );
  });

  it("does not run when the metadata service can't be closed", async () => {
    const refuse = "#!/bin/sh\nexit 1\n";
    const { phases, claims, reports } = await play({ commands: { iptables: refuse, ip: refuse } });
    expect(phases).to.deep.equal(["booted", "failed"]);
    expect(reports[1]?.detail).to.include("metadata service could not be closed");
    expect(claims).to.have.length(0);
  });

  it("leaves the metadata service open where the class asks for it", async () => {
    const { machine, phases } = await play({ env: { GRP_EXPOSE_METADATA: "1" } });
    expect(machine.calls("iptables")).to.deep.equal([]);
    expect(phases.at(-1)).to.equal("finished");
  });

  it("claims again after 503, no sooner than Retry-After says", async () => {
    const began = Date.now();
    const { claims, phases } = await play({
      claims: [
        { status: 503, headers: { "Retry-After": "2" }, body: '{"error":"github_unavailable"}' },
        { status: 502 },
      ],
    });
    expect(claims).to.have.length(3);
    expect(phases.at(-1)).to.equal("finished");
    expect(Date.now() - began).to.be.greaterThan(2_000);
  });

  const putOff = (error: string, seconds: number) => ({
    status: 503,
    headers: { "Retry-After": String(seconds) },
    body: JSON.stringify({ error }),
  });

  for (const error of ["claim_in_line", "github_unavailable", "redis_unavailable"])
    it(`stays for as long as it is answered ${error}, though that is longer than a boot may take`, async () => {
      const began = Date.now();
      const { claims, phases, output } = await play({
        claims: [putOff(error, 2), putOff(error, 2), putOff(error, 2)],
        env: { GRP_BOOT_TIMEOUT: "5" },
      });
      expect(claims).to.have.length(4);
      expect(phases.at(-1), output).to.equal("finished");
      expect(Date.now() - began).to.be.greaterThan(6_000);
    });

  it("stays until it is to come again, though that is later than a boot may take", async () => {
    const { claims, phases, machine, output } = await play({
      claims: [putOff("github_unavailable", 120)],
      env: { GRP_BOOT_TIMEOUT: "3", GRP_IDLE_TIMEOUT: "57", GRP_MAX_RUNTIME: "60" },
      // Two minutes are five seconds here, which is longer than the boot may take.
      commands: { sleep: '#!/bin/sh\ncase $1 in 120.*) exec /bin/sleep 5 ;; esac\nexec /bin/sleep "$@"\n' },
    });
    expect(claims).to.have.length(2);
    expect(phases.at(-1), output).to.equal("finished");
    // Its belt is later by that wait.
    expect(machine.calls("shutdown").slice(0, 2)).to.deep.equal(["shutdown -h +7", "shutdown -h +9"]);
  });

  it("has the time of one boot for a refusal to be mended", async () => {
    const { phases, reports } = await play({
      claims: Array.from({ length: 9 }, () => putOff("github_refused", 1)),
      env: { GRP_BOOT_TIMEOUT: "4" },
    });
    expect(phases).to.deep.equal(["booted", "failed"]);
    expect(reports.at(-1)).to.include({ detail: "boot timeout" });
  });

  for (const status of [400, 401, 409, 410]) {
    it(`shuts down without another word when the claim is answered ${status}`, async () => {
      const { claims, phases, machine, code } = await play({ claims: [{ status, body: '{"error":"no"}' }] });
      expect(claims).to.have.length(1);
      expect(phases).to.deep.equal(["booted"]);
      expect(machine.calls("shutdown").at(-1)).to.equal("shutdown -h now");
      expect(machine.has("opt/runner")).to.equal(false);
      expect(code).to.equal(0);
    });
  }

  it("never runs a program whose SHA-256 is wrong", async () => {
    const { machine, phases, reports } = await play({
      sha256: "0".repeat(64),
      commands: { sleep: "#!/bin/sh\nexec /bin/sleep 0.1\n" },
    });
    expect(phases).to.deep.equal(["booted", "failed"]);
    expect(reports[1]?.logTail).to.include("expected 000000");
    expect(machine.has("opt/runner/got-jit")).to.equal(false);
    expect(machine.calls("shutdown").at(-1)).to.equal("shutdown -h now");
  });

  it("ships the last lines when the runner crashes, secrets taken out", async () => {
    const work = `echo "Listening for Jobs"; echo "Running job: x"; echo "boom \\"quoted\\" $ACTIONS_RUNNER_INPUT_JITCONFIG"; echo "${REPORT_TICKET}"; exit 7`;
    const { phases, reports, code, output } = await play({ work });
    expect(phases.at(-1), output).to.equal("failed");
    const last = reports.at(-1);
    expect(last).to.include({ exitCode: 7 });
    expect(last?.logTail).to.include('boom "quoted" ***').and.include("diag line");
    for (const secret of [JIT, TICKET, REPORT_TICKET])
      expect(JSON.stringify(reports.map((r) => ({ ...r, token: "" })))).not.to.include(secret);
    expect(code).to.equal(1);
  });

  it("says failed when the runner ends without a workflow job", async () => {
    const { reports } = await play({ work: 'echo "Listening for Jobs"; sleep 0.2' });
    expect(reports.at(-1)).to.include({ phase: "failed", exitCode: 0 });
    expect(reports.at(-1)?.detail).to.include("without a workflow job");
  });

  const limits = [
    ["boot", { GRP_BOOT_TIMEOUT: "2" }, "sleep 1", [503, 503, 503, 503, 503, 503]],
    ["idle", { GRP_IDLE_TIMEOUT: "2" }, 'echo "Listening for Jobs"; exec sleep 60', []],
    [
      "max runtime",
      { GRP_MAX_RUNTIME: "2" },
      'echo "Listening for Jobs"; echo "Running job: x"; exec sleep 60',
      [],
    ],
  ] as const;
  for (const [name, env, work, statuses] of limits) {
    it(`ends the machine at the ${name} limit`, async () => {
      const { reports, machine } = await play({ env, work, claims: statuses.map((status) => ({ status })) });
      expect(reports.at(-1)).to.include({ phase: "failed", detail: `${name} timeout` });
      expect(machine.calls("shutdown").at(-1)).to.equal("shutdown -h now");
    });
  }

  it("does not begin when the boot limit was over while its claim was answered", async () => {
    const reported = Promise.withResolvers<void>();
    const { reports, machine, phases, output } = await play({
      env: { GRP_BOOT_TIMEOUT: "2" },
      hold({ path, body }) {
        if (path === "/claims") return reported.promise;
        if (!body.includes('"failed"')) return undefined;
        // Far longer than the script takes from the claim's answer to its next step: its guard is still reporting then.
        return sleep(2_000, reported.resolve());
      },
    });
    expect(phases, output).to.deep.equal(["booted", "failed"]);
    expect(reports.at(-1)).to.include({ detail: "boot timeout" });
    expect(machine.has("opt/runner")).to.equal(false);
    expect(machine.calls("shutdown").at(-1)).to.equal("shutdown -h now");
  });

  const notice = '{"action":"terminate","time":"2026-01-01T00:00:00Z"}';

  it("tells of a spot interruption and lets the job go on", async () => {
    const { phases, reports } = await play({ spot: { notice, isLate: true } });
    expect(phases).to.include.members(["interrupted", "finished"]);
    const told = reports.find((report) => report.phase === "interrupted");
    expect([told?.detail, told?.token]).to.deep.equal([notice, `Bearer ${REPORT_TICKET}`]);
  });

  it("claims nothing when its spot capacity is about to be taken back, and ends", async () => {
    const { phases, reports, claims, machine } = await play({ spot: { notice, isLate: false } });
    expect([claims, phases]).to.deep.equal([[], ["booted", "interrupted"]]);
    expect(reports.at(-1)?.detail).to.equal(notice);
    expect(machine.calls("shutdown").at(-1)).to.equal("shutdown -h now");
  });

  it("shows no secret in the arguments of any process, nor in its files and output", async () => {
    // Every curl notes its arguments, and the runner notes those of every process that lives then.
    const work = `for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <"$p" 2>/dev/null; echo; done > all-args; ${WORKS}`;
    const curl = '#!/bin/bash\necho "$*" >>"$0.log"\nexec /usr/bin/curl "$@"\n';
    const { machine, output } = await play({ work, commands: { curl } });
    const seen = [
      machine.read("opt/runner/all-args"),
      machine.calls("curl").join("\n"),
      machine.calls("runuser").join("\n"),
      output,
      machine.read("opt/boot/boot.log"),
      machine.read("opt/boot/runner.log"),
    ].join("\n");
    expect(seen).to.include("/claims");
    for (const secret of [JIT, TICKET, REPORT_TICKET, "imds-token"]) expect(seen).not.to.include(secret);
    const secrets = `${TICKET}|${REPORT_TICKET}|${JIT}`;
    const left = spawnSync("grep", [
      "-rlE",
      secrets,
      join(machine.folder, "opt/boot"),
      join(machine.folder, "opt/home"),
    ]);
    expect(left.stdout.toString()).to.equal("");
  });
});
