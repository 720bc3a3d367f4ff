import { expect } from "chai";
import { testOrder } from "../testing/order.ts";
import { hasCommand, hasRealMachine, type RealMachine, runRealMachine } from "../testing/real-machine.ts";
import { extractBootScript, renderUserData } from "./render-user-data.ts";

const TICKET = "grp1.the-launch-ticket.sig";
const METADATA = "http://169.254.169.254/latest";
const REFUSE = "#!/bin/sh\nexit 1\n";

/** What a workflow job could try, and what the runner's user gets. */
const LOOKS = {
  user: "id -un",
  uid: "id -u",
  root: "sudo -n id -u 2>/dev/null || echo no",
  metadata: `curl -s -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ${METADATA}/api/token || echo refused`,
  ingress: "curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1/claims",
  script: "cat /opt/grp/boot.sh 2>/dev/null || echo hidden",
  work: "ls /opt/grp/boot 2>/dev/null || echo hidden",
  environments: "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'",
  arguments: "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '",
  own: "touch made-by-me && rm made-by-me && echo writable",
  home: 'cd "$HOME" && touch made-by-me && echo writable',
};

describe("the boot script on a machine with its own users and network", function () {
  this.timeout(60_000);
  before(function () {
    if (!hasRealMachine()) this.skip();
  });

  function boot(exposeMetadata: boolean, commands: RealMachine["commands"] = {}) {
    const order = testOrder("l-1");
    const runnerClass = { ...order.runnerClass, exposeMetadata };
    const bootParameters = { ...order.boot, publicUrl: "http://127.0.0.1", ticket: TICKET };
    const bootScript = extractBootScript(renderUserData({ ...order, runnerClass, boot: bootParameters }));
    return runRealMachine({ bootScript, looks: LOOKS, commands });
  }

  for (const [how, commands] of [
    ["by iptables", { ip: REFUSE }],
    ["by a routing rule where there is no iptables", { iptables: REFUSE, ip6tables: REFUSE }],
  ] as const) {
    it(`runs the job as a user without rights, the metadata service closed to it ${how}`, async function () {
      if (how === "by iptables" && !hasCommand("iptables")) return this.skip();
      const { seen, phases, shutdowns, output } = await boot(false, commands);
      expect(phases, output).to.deep.equal(["booted", "downloaded", "online", "finished"]);
      expect(seen).to.include({ user: "grp-runner", root: "no", own: "writable", home: "writable" });
      expect(Number(seen.uid)).to.be.above(0);
      // Closed to it, and only that: it reaches the world.
      expect(seen).to.include({ metadata: "refused", ingress: "200" });
      expect(seen).to.include({ script: "hidden", work: "hidden" });
      for (const look of Object.values(seen)) expect(look).not.to.include(TICKET);
      for (const secret of ["a-report-ticket", "imds-token"])
        expect(Object.values(seen).join("\n")).not.to.include(secret);
      expect(shutdowns[0]).to.match(/^shutdown -h \+\d+$/);
      expect(shutdowns.at(-1)).to.equal("shutdown -h now");
    });
  }

  it("leaves the metadata service open to the job where the class asks for it", async () => {
    const { seen, phases, output } = await boot(true);
    expect(phases, output).to.include("finished");
    expect(seen.metadata).to.equal("imds-token");
  });
});
