import { expect } from "chai";
import type { Passport } from "./limits.ts";
import { createRegistrationRefusals } from "./registration-refusals.ts";

const PAUSE_MS = 60_000;

describe("refusals of registrations", () => {
  it("slow a credential down once, though another is granted one at the first of its places later", () => {
    let at = 0;
    const [first, second] = ["1", "2"].map((credential) => ({ credential }) as Passport) as [
      Passport,
      Passport,
    ];
    const passports = [first, second];
    const refusals = createRegistrationRefusals(() => at);
    const depart = (passport: Passport, place: string) => refusals.depart({ passport, place, passports });
    expect(depart(first, "acme/a").refused(PAUSE_MS)).to.deep.equal([]);
    const late = depart(second, "acme/a");
    at = 1_000;
    const slowed = depart(first, "acme/b").refused(PAUSE_MS);
    expect(slowed).to.deep.equal([{ limited: { passport: first }, pauseMs: PAUSE_MS }]);
    at = 8_000;
    expect(late.granted()).to.deep.equal([]);
  });
});
