import { Webhooks } from "@octokit/webhooks";

/** Whether the body as it came, decoded as UTF-8, bears one of our signatures; constant time, never throws. */
export type SignatureCheck = (text: string, signature: string) => Promise<boolean>;

/**
 * `X-Hub-Signature-256`. All secrets are accepted, so that one can be rotated. Only sha256: a legacy sha1 signature is
 * no signature.
 */
export function createSignatureCheck(secrets: readonly string[]): SignatureCheck {
  const checks = secrets.map((secret) => new Webhooks({ secret }));
  return async (text, signature) => {
    if (text.length === 0 || !/^sha256=[0-9a-f]{64}$/.test(signature)) return false;
    for (const check of checks) if (await check.verify(text, signature)) return true;
    return false;
  };
}
