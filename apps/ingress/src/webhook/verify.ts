import { Webhooks } from "@octokit/webhooks";

/** Whether the raw bytes bear one of our signatures; constant time, never throws. */
export type SignatureCheck = (body: Buffer, signature: string) => Promise<boolean>;

/**
 * `X-Hub-Signature-256` over the bytes as they came. All secrets are accepted, so that one can be rotated. Only sha256:
 * a legacy sha1 signature is no signature. Bytes that are no UTF-8 can't have been signed by GitHub and do not verify.
 */
export function createSignatureCheck(secrets: readonly string[]): SignatureCheck {
  const checks = secrets.map((secret) => new Webhooks({ secret }));
  return async (body, signature) => {
    if (body.length === 0 || !/^sha256=[0-9a-f]{64}$/.test(signature)) return false;
    const text = body.toString("utf8");
    for (const check of checks) if (await check.verify(text, signature)) return true;
    return false;
  };
}
