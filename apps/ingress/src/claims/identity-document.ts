import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";

const identityDocument = z.object({
  accountId: z.string(),
  region: z.string(),
  instanceId: z.string(),
  pendingTime: z.string(),
});

export type IdentityDocument = z.infer<typeof identityDocument>;

export type DocumentVerdict =
  | { readonly ok: true; readonly document: IdentityDocument }
  | { readonly ok: false };

/**
 * The document that AWS's `rsa2048` PKCS#7 signature covers, checked by openssl against `certificates` (PEM) alone: a
 * signer's certificate that comes with the signature is not believed.
 */
export function verifyIdentityDocument(signature: string, certificates: string): DocumentVerdict {
  if (!/^[\w+/=]+$/.test(signature)) return { ok: false };
  const folder = mkdtempSync(path.join(tmpdir(), "grp-identity-"));
  const [signed, trusted] = ["signed.der", "trusted.pem"].map((name) => path.join(folder, name)) as [
    string,
    string,
  ];
  try {
    writeFileSync(signed, Buffer.from(signature, "base64"));
    writeFileSync(trusted, certificates);
    const flags = [
      "smime",
      "-verify",
      "-inform",
      "DER",
      "-in",
      signed,
      "-certfile",
      trusted,
      "-nointern",
      "-noverify",
    ];
    const content = execFileSync("openssl", flags, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 2_000,
    });
    const parsed = identityDocument.safeParse(JSON.parse(content));
    return parsed.success ? { ok: true, document: parsed.data } : { ok: false };
  } catch {
    return { ok: false };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
