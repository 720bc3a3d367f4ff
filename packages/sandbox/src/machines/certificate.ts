import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { algorithm, base64Lines, element, integer, oid, sequence, set, utcTime } from "./der.ts";

export interface SelfSigned {
  readonly privateKey: KeyObject;
  /** PEM. */
  readonly certificate: string;
  /** What a signature names its signer by: issuer and serial number, in DER. */
  readonly issuerAndSerial: Buffer;
}

const DAY_MS = 86_400_000;
const COMMON_NAME = "2.5.4.3";
const SHA256_WITH_RSA = "1.2.840.113549.1.1.11";

/** A fresh RSA key and its self-signed X.509 certificate. Node reads certificates and writes none, hence the DER by hand. */
export function createSelfSigned(commonName: string, nowMs: number): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const name = sequence(set(sequence(oid(COMMON_NAME), element(0x0c, Buffer.from(commonName)))));
  // Positive: its first bit must not be set.
  const serial = integer([0x01, ...randomBytes(8)]);
  const body = sequence(
    // [0] version: v3
    element(0xa0, integer([2])),
    serial,
    algorithm(SHA256_WITH_RSA),
    name,
    sequence(utcTime(nowMs - DAY_MS), utcTime(nowMs + 30 * DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = sign("sha256", body, privateKey);
  const der = sequence(body, algorithm(SHA256_WITH_RSA), element(0x03, [0], signature));
  return {
    privateKey,
    certificate: `-----BEGIN CERTIFICATE-----\n${base64Lines(der)}\n-----END CERTIFICATE-----\n`,
    issuerAndSerial: sequence(name, serial),
  };
}
