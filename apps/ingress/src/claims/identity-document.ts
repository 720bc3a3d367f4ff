import { ContentInfo, EncapsulatedContentInfo, SignedData, SignerInfo } from "pkijs";
import { z } from "zod";
import type { IdentityCertificates } from "./identity-certificates.ts";

const identityDocument = z.object({
  accountId: z.string(),
  region: z.string(),
  instanceId: z.string(),
  pendingTime: z.string(),
});

export type IdentityDocument = z.infer<typeof identityDocument>;

export type DocumentVerdict =
  | { readonly ok: true; readonly document: IdentityDocument }
  /** Why, for our log. */
  | { readonly ok: false; readonly detail: string };

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const SHA256 = "2.16.840.1.101.3.4.2.1";

/**
 * The document inside AWS's `rsa2048` PKCS#7, if a certificate of the region that it names has signed it. Never throws.
 * Takes about a millisecond of the event loop; the RSA part runs outside it.
 */
export async function verifyIdentityDocument(
  signature: string,
  certificates: IdentityCertificates,
): Promise<DocumentVerdict> {
  try {
    const { signedData, document } = readSigned(signature);
    const trusted = certificates.ofRegion(document.region);
    if (trusted.length === 0) return { ok: false, detail: `no certificate of AWS for ${document.region}` };
    // The library looks for the signer here, and here only.
    signedData.certificates = [...trusted];
    const isSigned = await signedData.verify({ signer: 0, checkChain: false });
    return isSigned ? { ok: true, document } : { ok: false, detail: "the signature does not fit" };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

interface Asn1Node {
  readonly valueBlock: { readonly value: readonly [Asn1Node, ...Asn1Node[]] };
}

/**
 * What it says is not to be believed yet: it chooses the certificate that must have signed it. Of RFC 5652's SignedData,
 * only content and signers are read: what else comes with them, certificates above all, is nothing to us, and the
 * library takes three times as long to read it.
 */
function readSigned(signature: string): { signedData: SignedData; document: IdentityDocument } {
  const container = ContentInfo.fromBER(new Uint8Array(Buffer.from(signature, "base64")));
  if (container.contentType !== SIGNED_DATA) throw new Error("no signed data");
  const [, , content, ...rest] = (container.content as Asn1Node).valueBlock.value;
  const [signer, ...others] = rest.at(-1)?.valueBlock.value ?? [];
  if (!content || !signer || others.length > 0) throw new Error("not signed once");
  const signerInfo = new SignerInfo({ schema: signer });
  if (signerInfo.digestAlgorithm.algorithmId !== SHA256) throw new Error("not signed with SHA-256");
  const encapContentInfo = new EncapsulatedContentInfo({ schema: content });
  const text = encapContentInfo.eContent?.getValue();
  if (!text) throw new Error("no content inside");
  const document = identityDocument.parse(JSON.parse(Buffer.from(text).toString("utf8")));
  return { signedData: new SignedData({ encapContentInfo, signerInfos: [signerInfo] }), document };
}
