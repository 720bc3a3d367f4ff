import type { Environment } from "../packages/runtime/src/index.ts";

export type App = "ingress" | "worker" | "ops";

/** Which apps use a credential; the first pattern that fits a variable's name counts. All else is given to every app. */
const CREDENTIALS: readonly (readonly [name: RegExp, apps: readonly App[]])[] = [
  [/^AWS_IDENTITY_CERTIFICATES$/, ["ingress"]],
  [/^AWS_/, ["worker"]],
  [/^CODEMAGIC_TOKEN$/, ["worker"]],
  [/^ALERT_WEBHOOK_URL$/, ["worker"]],
  [/^GITHUB_(TOKEN|APP_)/, ["ingress", "worker"]],
  [/^TICKET_SECRET/, ["ingress", "worker"]],
  [/^WEBHOOK_TOKEN/, ["ingress"]],
  [/^OPS_PASSWORD$/, ["ops"]],
];

/** The environment of one app of `make run`: without the credentials that only others use. */
export function withOwnCredentials(app: App, environment: Environment): Environment {
  const mayHave = (name: string) =>
    CREDENTIALS.find(([pattern]) => pattern.test(name))?.[1].includes(app) ?? true;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => mayHave(name)));
}
