import { readFileSync } from "node:fs";
import { Certificate } from "pkijs";

/** Whom to believe who signs for a region. Nothing that comes with a signature is ever among them. */
export interface IdentityCertificates {
  /** AWS's own of that region, and every further one; empty for a region that AWS had not when this was written. */
  ofRegion(region: string): readonly Certificate[];
}

/** AWS's public certificates by region; where they are from, and which are missing, stands at the top of the file. */
const SHIPPED = new URL("./aws-identity-certificates.pem", import.meta.url);

const ONE = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/g;
const WITH_REGION = new RegExp(`^# region (\\S+)$[\\s\\S]*?(${ONE.source})`, "gm");

/**
 * `further` (PEM) may sign for any region: a new one, or a cloud of one's own. Their dates are not looked at, as in
 * AWS's own procedure (`openssl smime -verify -noverify`): they are self-signed, good for some 180 years, and believed
 * because they are in the file. To believe one no longer, take it out. Throws when there is none in `further`.
 */
export function readIdentityCertificates(further?: string): IdentityCertificates {
  const shipped = new Map(
    [...readFileSync(SHIPPED, "utf8").matchAll(WITH_REGION)].map(([, region = "", pem = ""]) => [
      region,
      pem,
    ]),
  );
  const others = further === undefined ? [] : parseCertificates(further);
  const known = new Map<string, readonly Certificate[]>();
  return {
    ofRegion(region) {
      const pem = shipped.get(region);
      if (pem === undefined) return others;
      const found = known.get(region) ?? [...parseCertificates(pem), ...others];
      known.set(region, found);
      return found;
    },
  };
}

function parseCertificates(pem: string): Certificate[] {
  const found = [...pem.matchAll(ONE)].map(([, base64 = ""]) =>
    Certificate.fromBER(new Uint8Array(Buffer.from(base64, "base64"))),
  );
  if (found.length === 0) throw new Error("holds no certificate in PEM form");
  return found;
}
