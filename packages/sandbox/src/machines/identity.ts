import { createHash, sign } from "node:crypto";
import type { Ec2Machine } from "../ec2/types.ts";
import type { SelfSigned } from "./certificate.ts";
import {
  algorithm,
  base64Lines,
  element,
  endless,
  integer,
  octets,
  oid,
  sequence,
  set,
  utcTime,
} from "./der.ts";

export interface SignedIdentity {
  readonly document: string;
  /** The bare signature; base64 in lines, as the metadata service gives it. */
  readonly signature: string;
  /** PKCS#7 with the document inside; base64 in lines, without the PEM frame. */
  readonly rsa2048: string;
}

/** The instance identity document, written as AWS writes it and signed by the sandbox's key instead of AWS's. */
export function signIdentity(machine: Ec2Machine, signer: SelfSigned): SignedIdentity {
  const facts = {
    accountId: machine.accountId,
    architecture: machine.architecture,
    availabilityZone: machine.availabilityZone,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: machine.imageId,
    instanceId: machine.instanceId,
    instanceType: machine.instanceType,
    kernelId: null,
    pendingTime: new Date(machine.launchedAt).toISOString().replace(/\.\d+/, ""),
    privateIp: machine.privateIp,
    ramdiskId: null,
    region: machine.region,
    version: "2017-09-30",
  };
  const document = JSON.stringify(facts, null, 2);
  const signature = base64Lines(sign("sha256", Buffer.from(document), signer.privateKey));
  return {
    document,
    signature,
    rsa2048: base64Lines(signPkcs7(Buffer.from(document), signer, machine.launchedAt)),
  };
}

const DATA = "1.2.840.113549.1.7.1";
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_TIME = "1.2.840.113549.1.9.5";
const ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52";
const SHA256_WITH_RSA = "1.2.840.113549.1.1.11";
const SHA256 = sequence(oid("2.16.840.1.101.3.4.2.1"));

/**
 * CMS SignedData (RFC 5652) in the form that AWS's has: BER of indefinite length, the content in pieces inside, no
 * certificate, one signer, signed attributes.
 */
function signPkcs7(content: Buffer, signer: SelfSigned, signedAt: number): Buffer {
  const attribute = (type: string, value: Buffer) => sequence(oid(type), set(value));
  const attributes = set(
    attribute(CONTENT_TYPE, oid(DATA)),
    attribute(SIGNING_TIME, utcTime(signedAt)),
    attribute(ALGORITHM_PROTECTION, sequence(SHA256, element(0xa1, oid(SHA256_WITH_RSA), [0x05, 0x00]))),
    attribute(MESSAGE_DIGEST, octets(createHash("sha256").update(content).digest())),
  );
  const signature = sign("sha256", attributes, signer.privateKey);
  // Signed as a set; written as [0].
  const written = Buffer.from(attributes);
  written[0] = 0xa0;
  const signerInfo = sequence(
    integer([1]),
    signer.issuerAndSerial,
    SHA256,
    written,
    algorithm(SHA256_WITH_RSA),
    octets(signature),
  );
  const pieces = endless(0x24, octets(content));
  const signedData = endless(
    0x30,
    integer([1]),
    set(SHA256),
    endless(0x30, oid(DATA), endless(0xa0, pieces)),
    set(signerInfo),
  );
  return endless(0x30, oid(SIGNED_DATA), endless(0xa0, signedData));
}
