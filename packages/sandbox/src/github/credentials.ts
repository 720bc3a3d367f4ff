import { generateKeyPairSync, randomBytes, verify } from "node:crypto";

export interface SandboxApp {
  readonly appId: number;
  /** PEM, made at start; good for this sandbox alone. */
  readonly privateKey: string;
}

export interface Credentials {
  readonly app: SandboxApp;
  /** `app`: signed by the App's key. `account`: a personal or installation token. */
  kindOf(authorization: string | undefined): "app" | "account" | null;
  mintInstallationToken(): { token: string; expires_at: string };
}

const HOUR_MS = 3_600_000;

/** Who may ask what: one personal access token, and one GitHub App with its JWTs and installation tokens. */
export function createCredentials(token: string, now: () => number): Credentials {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const app = { appId: 4_242, privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
  const accountTokens = new Map([[token, Number.POSITIVE_INFINITY]]);

  function isJwt(text: string): boolean {
    const [header, body, signature] = text.split(".");
    if (!header || !body || !signature) return false;
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as {
      exp: number;
      iss: string | number;
    };
    const isSigned = verify(
      "sha256",
      Buffer.from(`${header}.${body}`),
      publicKey,
      Buffer.from(signature, "base64url"),
    );
    return isSigned && claims.exp * 1_000 > now() && String(claims.iss) === String(app.appId);
  }

  return {
    app,
    kindOf(authorization) {
      const text = /^(?:bearer|token) (.+)$/i.exec(authorization ?? "")?.[1];
      if (!text) return null;
      if ((accountTokens.get(text) ?? 0) > now()) return "account";
      return text.startsWith("eyJ") && isJwt(text) ? "app" : null;
    },
    mintInstallationToken() {
      // GitHub's new format: long, and with the App's number in it.
      const minted = `ghs_${app.appId}_${randomBytes(200).toString("base64url")}`;
      accountTokens.set(minted, now() + HOUR_MS);
      return { token: minted, expires_at: new Date(now() + HOUR_MS).toISOString() };
    },
  };
}
