import { expect } from "chai";
import { lowerBoundMs, renderCatalog } from "./plan.ts";

describe("the burst's plan", () => {
  it("derives the least time from the limits: GitHub's for launches together, EC2's for single ones", () => {
    // The first registration after 30 s of booting, and then 180 a minute.
    expect(lowerBoundMs({ launchSize: 100, share: 1, apps: 1 })).to.equal(330_000);
    expect(lowerBoundMs({ launchSize: 20, share: 0.2, apps: 1 })).to.equal(330_000);
    // Two Apps may register 360 a minute.
    expect(lowerBoundMs({ launchSize: 100, share: 1, apps: 2 })).to.equal(150_000);
    // Five calls at once and 995 more at two a second, and the last machine's boot.
    expect(lowerBoundMs({ launchSize: 1, share: 1, apps: 1 })).to.equal(527_500);
  });

  it("makes the clock faster for every rate and duration alike", () => {
    expect(renderCatalog({ speed: 4, launchSize: 100, share: 1, apps: 1 }))
      .to.include("perSecond: 8 }")
      .and.include("window: 15s")
      .and.include("bootTimeout: 150s");
  });
});
