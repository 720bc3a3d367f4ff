import { RateLimitedError, UnauthorizedError } from "@grp/core";
import { type Identity, placeOf, type Subject } from "./identities.ts";

/** One of several Apps that GitHub refuses: the others go on without it. */
export interface AppRefusal {
  /** `GitHub App 12`. */
  readonly app: string;
  /** The account or repository it was refused at. */
  readonly where: string;
  /** `app_not_installed`, `app_suspended`, or GitHub's status. */
  readonly code: string;
  readonly problem: string;
}

/** How soon one that was refused is tried again, and one that is not installed there. */
const [REFUSED_MS, NOT_INSTALLED_MS] = [60_000, 300_000];

/** Who was refused where, so that each call need not find it out again. */
export interface Refusals {
  /** Those that may be asked about the subject; all of them when each was refused. */
  without(identities: readonly Identity[], subject: Subject): readonly Identity[];
  note(identity: Identity, subject: Subject, error: UnauthorizedError): void;
}

export function createRefusals(now: () => number, onRefused: (refusal: AppRefusal) => void): Refusals {
  const until = new Map<string, number>();
  const key = ({ name }: Identity, where: string) => `${name} ${where}`;
  const isOut = (identity: Identity, subject: Subject) =>
    [placeOf(subject), placeOf({ owner: subject.owner })].some(
      (where) => (until.get(key(identity, where)) ?? 0) > now(),
    );
  return {
    without(identities, subject) {
      const left = identities.filter((identity) => !isOut(identity, subject));
      return left.length > 0 ? left : identities;
    },
    note(identity, subject, { code = "", message }) {
      // What an App may not do at one repository, it may not at the account's others; but it may be on some of them only.
      const isPlace = code === "app_not_installed";
      const where = placeOf(isPlace ? subject : { owner: subject.owner });
      until.set(key(identity, where), now() + (isPlace ? NOT_INSTALLED_MS : REFUSED_MS));
      onRefused({ app: identity.name, where, code, problem: message });
    },
  };
}

/**
 * Why nobody could do it: what may pass by itself first, with the shortest wait; then a refusal that says more than "not
 * there".
 */
export function chooseError(errors: readonly unknown[]): unknown {
  const refusals = errors.filter((error) => error instanceof UnauthorizedError);
  const passing = errors.filter((error) => !refusals.includes(error as UnauthorizedError));
  const waitOf = (error: unknown) => (error instanceof RateLimitedError ? error.retryAfterMs : 0);
  if (passing.length > 0) return passing.toSorted((one, other) => waitOf(one) - waitOf(other))[0];
  const refusal = refusals.find(({ code }) => code !== "app_not_installed");
  if (refusal || refusals.length < 2) return refusal ?? refusals[0];
  return new UnauthorizedError(refusals.map(({ message }) => message).join("; "), {
    code: "app_not_installed",
  });
}
