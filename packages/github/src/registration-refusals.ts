import type { Passport } from "./limits.ts";

/** The limits of one credential, or those of one place: an organization, or `owner/repository`. */
export type Limited = { readonly passport: Passport } | { readonly place: string };

/** To be slowed down: GitHub refused by it. */
export interface Refusing {
  readonly limited: Limited;
  readonly pauseMs: number;
}

/** One registration that leaves. */
export interface Attempt {
  readonly passport: Passport;
  readonly place: string;
  /** All by which it may go still, this one too. */
  readonly passports: readonly Passport[];
}

/**
 * By whose limit GitHub refused a registration. A secondary refusal does not say: it may be by those of the credential
 * (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api), or by the 1,500 runners that one
 * repository, organization or enterprise takes in five minutes, whoever registers them
 * (https://docs.github.com/actions/reference/limits). Nor do our own counts, by which both are kept: what was too much,
 * others have spent. The next answers tell:
 * - another credential is granted one at the same place: it was the first one's own limit.
 * - none of those that may register there is granted one, or can be asked soon: it was the place's, and others go on.
 * - the credential is refused at a second place before the pause of the first is over: it was its own.
 * Where there is but one credential, nobody else can tell, and it may be either: GitHub wants it to ask for nothing more
 * until the pause is over.
 */
export interface RegistrationRefusals {
  /** Whether it was refused there, and nobody knows yet by whose limit: the others are to be asked. */
  isOpen(passport: Passport, place: string): boolean;
  /** What this gives is to be told of the answer: for how long it was refused, or that it was granted. */
  depart(attempt: Attempt): {
    refused(pauseMs: number): readonly Refusing[];
    granted(): readonly Refusing[];
  };
  /** No other credential can be asked soon. */
  settle(place: string): readonly Refusing[];
}

interface Refusal {
  readonly passport: Passport;
  readonly place: string;
  readonly until: number;
  /** Nobody was slowed down for it so far. */
  isOpen: boolean;
}

const isOf = (refusal: Refusal, { credential }: Passport) => refusal.passport.credential === credential;

export function createRegistrationRefusals(now: () => number): RegistrationRefusals {
  let all: readonly Refusal[] = [];

  function find(isIt: (refusal: Refusal) => boolean): readonly Refusal[] {
    all = all.filter(({ until }) => until > now());
    return all.filter(isIt);
  }

  /** As far as they are open. */
  function close(refusals: readonly Refusal[]): readonly { passport: Passport; pauseMs: number }[] {
    const open = refusals.filter(({ isOpen, until }) => isOpen && until > now());
    for (const refusal of open) refusal.isOpen = false;
    return open.map(({ passport, until }) => ({ passport, pauseMs: until - now() }));
  }

  function isRefusedAt(place: string, passport: Passport): boolean {
    return find((refusal) => refusal.place === place).some((refusal) => isOf(refusal, passport));
  }

  function settle(place: string): readonly Refusing[] {
    const pauses = close(find((refusal) => refusal.place === place)).map(({ pauseMs }) => pauseMs);
    return pauses.length > 0 ? [{ limited: { place }, pauseMs: Math.max(...pauses) }] : [];
  }

  return {
    settle,
    isOpen: (passport, at) =>
      find((refusal) => isOf(refusal, passport)).some(({ place, isOpen }) => place === at && isOpen),
    depart({ passport, place, passports }) {
      // What leaves before a refusal says nothing of the time after it.
      const before = find((refusal) => refusal.place === place);
      return {
        refused(pauseMs) {
          const its = find((refusal) => isOf(refusal, passport));
          const isElsewhere = its.some((refusal) => refusal.place !== place);
          const own: Refusing = { limited: { passport }, pauseMs };
          all = [...all, { passport, place, until: now() + pauseMs, isOpen: !isElsewhere }];
          if (isElsewhere) {
            // It is slowed down once for all of them.
            close(its);
            return [own];
          }
          if (!passports.every((one) => isRefusedAt(place, one))) return [];
          return passports.length === 1 ? [own, ...settle(place)] : settle(place);
        },
        granted: () =>
          close(before.filter((refusal) => !isOf(refusal, passport))).map(({ passport, pauseMs }) => ({
            limited: { passport },
            pauseMs,
          })),
      };
    },
  };
}
