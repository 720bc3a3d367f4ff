import { createLedger, INGRESS_SIGN_MS, isIngressAway } from "@grp/ledger";
import { expect } from "chai";
import { useFakeTimers } from "sinon";
import { showPresence } from "./show-presence.ts";
import { useIngress } from "./testing/suite.ts";

describe("the ingress' presence", () => {
  const suite = useIngress();

  it("is shown for as long as it is there, and for a minute after", async () => {
    const ledger = createLedger({ redis: suite.client });
    const clock = useFakeTimers({ now: 1_800_000_000_000, toFake: ["setInterval", "clearInterval", "Date"] });
    try {
      const isAway = () => isIngressAway(ledger, Date.now());
      expect(await isAway(), "before there ever was one").to.equal(false);
      const presence = showPresence({ ledger, now: Date.now });
      for (let signs = 0; signs < 10; signs++) {
        clock.tick(INGRESS_SIGN_MS);
        // Sent on the same connection before, so it is there.
        expect(await isAway()).to.equal(false);
      }
      presence.close();
      clock.tick(60_000);
      expect(await isAway()).to.equal(false);
      clock.tick(1);
      expect(await isAway()).to.equal(true);
      clock.tick(3_600_000);
      expect(await isAway()).to.equal(true);
      showPresence({ ledger, now: Date.now }).close();
      expect(await isAway()).to.equal(false);
    } finally {
      clock.restore();
    }
  });
});
