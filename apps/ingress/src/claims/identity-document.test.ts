import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { Certificate, ContentInfo, SignedData } from "pkijs";
import { createSelfSigned, type SelfSigned } from "../../../../packages/sandbox/src/machines/certificate.ts";
import { AWS_SIGNED } from "../testing/aws-signed.ts";
import { identityOf } from "../testing/machines.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";
import { verifyIdentityDocument } from "./identity-document.ts";

const INSTANCE = { instanceId: "i-1", launchedAt: Date.now() };
const ours = createSelfSigned("ours", Date.now());
const stranger = createSelfSigned("a stranger", Date.now());

const certificateOf = ({ certificate }: SelfSigned) =>
  Certificate.fromBER(new Uint8Array(new X509Certificate(certificate).raw));
const signedBy = (signer: SelfSigned, facts: object = {}) =>
  identityOf(INSTANCE, { signer, ...facts }).identitySignature;
const bytesOf = (base64: string) => Buffer.from(base64, "base64");

/** The same message with changes that a forger could make. */
function rewrite(signature: string, change: (signedData: SignedData) => void): string {
  const container = ContentInfo.fromBER(new Uint8Array(bytesOf(signature)));
  const signedData = new SignedData({ schema: container.content });
  change(signedData);
  container.content = signedData.toSchema(true);
  return Buffer.from(container.toSchema().toBER()).toString("base64");
}

/** The base64 with the first `from` among its bytes replaced. */
function alter(base64: string, from: string, to: string): string {
  const bytes = bytesOf(base64);
  const at = bytes.indexOf(from);
  expect(at, `${from} is there`).to.be.above(0);
  bytes.write(to, at);
  return bytes.toString("base64");
}

async function expectRefused(signature: string, certificates = readIdentityCertificates(ours.certificate)) {
  const verdict = await verifyIdentityDocument(signature, certificates);
  expect(verdict).to.have.keys("ok", "detail");
  expect(verdict.ok).to.equal(false);
  return verdict as { detail: string };
}

describe("verifyIdentityDocument", () => {
  it("believes what AWS itself signed, by the certificate that is shipped for its region", async () => {
    const verdict = await verifyIdentityDocument(AWS_SIGNED.signature, readIdentityCertificates());
    expect(verdict).to.deep.equal({ ok: true, document: AWS_SIGNED.document });
  });

  it("refuses the same with one letter changed in the document, or one bit of the signature", async () => {
    const certificates = readIdentityCertificates();
    await expectRefused(
      alter(AWS_SIGNED.signature, "i-0c5541936caf78c12", "i-1c5541936caf78c12"),
      certificates,
    );
    await expectRefused(alter(AWS_SIGNED.signature, "ap-southeast-2", "ap-southeast-1"), certificates);
    const bytes = bytesOf(AWS_SIGNED.signature);
    const at = bytes.length - 20;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await expectRefused(bytes.toString("base64"), certificates);
  });

  it("believes a further certificate for any region, and nobody it does not know", async () => {
    const certificates = readIdentityCertificates(
      `${ours.certificate}${createSelfSigned("more", 0).certificate}`,
    );
    for (const region of ["us-east-1", "xx-new-1"]) {
      const verdict = await verifyIdentityDocument(signedBy(ours, { region }), certificates);
      expect(verdict).to.nested.include({ ok: true, "document.region": region });
      await expectRefused(signedBy(stranger, { region }), certificates);
    }
  });

  it("says for which region it has no certificate", async () => {
    const { detail } = await expectRefused(
      signedBy(ours, { region: "xx-new-1" }),
      readIdentityCertificates(),
    );
    expect(detail).to.include("xx-new-1");
  });

  it("never believes a certificate that comes with the signature", async () => {
    const withOwn = rewrite(signedBy(stranger), (signedData) => {
      signedData.certificates = [certificateOf(stranger)];
    });
    await expectRefused(withOwn);
    // It is well made: who trusts the stranger takes it.
    const { ok } = await verifyIdentityDocument(withOwn, readIdentityCertificates(stranger.certificate));
    expect(ok).to.equal(true);
  });

  it("refuses a document of one region that another region's certificate signed", async () => {
    const certificates = {
      ofRegion: (region: string) => [certificateOf(region === "us-east-1" ? ours : stranger)],
    };
    const right = await verifyIdentityDocument(signedBy(ours, { region: "us-east-1" }), certificates);
    expect(right.ok).to.equal(true);
    await expectRefused(signedBy(ours, { region: "eu-west-1" }), certificates);
  });

  it("refuses a signer who only bears our certificate's name and number", async () => {
    const [
      {
        signerInfos: [ourSigner],
      },
    ] = [
      new SignedData({
        schema: ContentInfo.fromBER(new Uint8Array(bytesOf(signedBy(ours)))).content,
      }),
    ];
    const impostor = rewrite(signedBy(stranger), ({ signerInfos: [signer] }) => {
      Object.assign(signer as object, { sid: ourSigner?.sid });
    });
    await expectRefused(impostor);
  });

  it("refuses what is not signed exactly once, has no content, or says too little", async () => {
    const good = signedBy(ours);
    const doubled = rewrite(good, ({ signerInfos }) => signerInfos.push(...signerInfos));
    const unsigned = rewrite(good, (signedData) => {
      signedData.signerInfos = [];
    });
    const empty = rewrite(good, ({ encapContentInfo }) => {
      delete (encapContentInfo as { eContent?: unknown }).eContent;
    });
    const sha1 = rewrite(good, ({ signerInfos: [signer] }) => {
      Object.assign(signer?.digestAlgorithm as object, { algorithmId: "1.3.14.3.2.26" });
    });
    for (const signature of [doubled, unsigned, empty, sha1]) await expectRefused(signature);
    await expectRefused(signedBy(ours, { accountId: undefined }));
  });

  it("refuses garbage of any size and depth, and says so without a throw", async () => {
    const nested = (levels: number) => Buffer.alloc(2 * levels, Buffer.from([0x30, 0x80]));
    const garbage = [
      Buffer.alloc(0),
      Buffer.from("{}"),
      Buffer.from(JSON.stringify(AWS_SIGNED.document)),
      Buffer.alloc(6_000, 0xff),
      nested(10),
      nested(50_000),
      Buffer.alloc(1_000_000, 0x30),
      bytesOf(AWS_SIGNED.signature).subarray(0, 700),
    ];
    for (const bytes of garbage) await expectRefused(bytes.toString("base64"));
    await expectRefused("no base64 at all: äöü");
  });
});

describe("aws-identity-certificates.pem", () => {
  const text = readFileSync(new URL("./aws-identity-certificates.pem", import.meta.url), "utf8");
  const entries = text
    .split(/^# region /m)
    .slice(1)
    .map((entry) => ({
      region: entry.split("\n", 1)[0] ?? "",
      fingerprint: /^# sha256 ([0-9a-f]{64})$/m.exec(entry)?.[1],
      certificate: new X509Certificate(entry.slice(entry.indexOf("-----BEGIN"))),
    }));

  it("has one certificate for each of 36 regions, none twice", () => {
    expect(entries).to.have.length(36);
    expect(new Set(entries.map(({ region }) => region))).to.have.property("size", 36);
    expect(new Set(entries.map(({ fingerprint }) => fingerprint))).to.have.property("size", 36);
    expect(entries.map(({ region }) => region)).to.include.members([
      "us-east-1",
      "eu-central-1",
      "cn-north-1",
    ]);
  });

  for (const { region, fingerprint, certificate } of entries) {
    it(`${region}: the fingerprint beside it, AWS's name, RSA-2048, signed by itself, valid`, () => {
      expect(certificate.fingerprint256.replaceAll(":", "").toLowerCase()).to.equal(fingerprint);
      expect(certificate.subject).to.include("O=Amazon Web Services LLC");
      expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).to.equal(2_048);
      expect(certificate.verify(certificate.publicKey)).to.equal(true);
      expect(Date.parse(certificate.validFrom)).to.be.below(Date.now());
      expect(Date.parse(certificate.validTo)).to.be.above(Date.now());
      const [parsed, ...others] = readIdentityCertificates().ofRegion(region);
      expect(others).to.deep.equal([]);
      expect(new Uint8Array(parsed?.toSchema().toBER() ?? [])).to.deep.equal(new Uint8Array(certificate.raw));
    });
  }
});
