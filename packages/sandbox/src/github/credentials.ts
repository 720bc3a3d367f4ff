import { generateKeyPairSync, type KeyObject, randomBytes, verify } from "node:crypto";

export interface SandboxApp {
  readonly appId: number;
  /** PEM, made at start; good for this sandbox alone. */
  readonly privateKey: string;
}

/** Where an App stands: at work, its installation suspended or taken away, or the App itself deleted. */
export type AppState = "installed" | "suspended" | "uninstalled" | "deleted";

/** Who asks: an App by its JWT, or an account by a personal or installation token. */
export interface Caller {
  readonly kind: "app" | "account";
  /** GitHub counts each for itself. */
  readonly name: string;
  /** The App itself, or the one whose installation it is. */
  readonly appId?: number;
}

export interface Credentials {
  readonly apps: readonly [SandboxApp, ...SandboxApp[]];
  callerOf(authorization: string | undefined): Caller | null;
  stateOf(appId: number | undefined): AppState;
  setState(appId: number, state: AppState): void;
  mintInstallationToken(appId: number): { token: string; expires_at: string };
}

const HOUR_MS = 3_600_000;
const FIRST_APP_ID = 4_242;

/** Who may ask what: one personal access token, and GitHub Apps with their JWTs and installation tokens. */
export function createCredentials(token: string, now: () => number, appCount = 1): Credentials {
  const made = Array.from({ length: Math.max(1, appCount) }, (_, index) => makeApp(FIRST_APP_ID + index));
  const keys = new Map(made.map(({ app, publicKey }) => [String(app.appId), { ...app, publicKey }]));
  const states = new Map<number, AppState>();
  const stateOf = (appId: number | undefined) => states.get(appId ?? 0) ?? "installed";
  const tokens = new Map<string, { readonly until: number; readonly caller: Caller }>();
  tokens.set(token, { until: Number.POSITIVE_INFINITY, caller: { kind: "account", name: "token" } });

  function readJwt(text: string): Caller | null {
    const [header, body, signature] = text.split(".");
    if (!header || !body || !signature) return null;
    const { exp, iss } = JSON.parse(Buffer.from(body, "base64url").toString()) as {
      exp: number;
      iss: string | number;
    };
    const app = keys.get(String(iss));
    if (!app || exp * 1_000 <= now() || stateOf(app.appId) === "deleted") return null;
    const signed = Buffer.from(`${header}.${body}`);
    if (!verify("sha256", signed, app.publicKey, Buffer.from(signature, "base64url"))) return null;
    return { kind: "app", name: `app-${app.appId}`, appId: app.appId };
  }

  return {
    apps: made.map(({ app }) => app) as [SandboxApp, ...SandboxApp[]],
    stateOf,
    setState: (appId, state) => void states.set(appId, state),
    callerOf(authorization) {
      const text = /^(?:bearer|token) (.+)$/i.exec(authorization ?? "")?.[1];
      if (!text) return null;
      const known = tokens.get(text);
      if (!known) return text.startsWith("eyJ") ? readJwt(text) : null;
      const isRevoked = ["uninstalled", "deleted"].includes(stateOf(known.caller.appId));
      return known.until > now() && !isRevoked ? known.caller : null;
    },
    mintInstallationToken(appId) {
      // GitHub's new format: long, and with the App's number in it.
      const minted = `ghs_${appId}_${randomBytes(200).toString("base64url")}`;
      const caller = { kind: "account", name: `installation of app-${appId}`, appId } as const;
      tokens.set(minted, { until: now() + HOUR_MS, caller });
      return { token: minted, expires_at: new Date(now() + HOUR_MS).toISOString() };
    },
  };
}

function makeApp(appId: number): { readonly app: SandboxApp; readonly publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { app: { appId, privateKey: pem }, publicKey };
}
