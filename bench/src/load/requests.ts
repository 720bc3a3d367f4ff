import { createHmac } from "node:crypto";
import { FIRST_WORKFLOW_JOB_ID } from "./payload.ts";

const SIGNATURE_LENGTH = 64;
const UUID_START = "00000000-0000-4000-8000-";
const UUID_DIGITS = 12;

export interface RequestOptions {
  readonly path: string;
  readonly event: string;
  readonly payload: string;
  readonly secret: string;
  /** Deliveries signed before the clock starts; with `isRepeating` they are sent again from the first. */
  readonly count: number;
  /** Number of the first of them. No two with the same number are the same workflow job or delivery. */
  readonly first: number;
  readonly isRepeating: boolean;
  /** One hex digit of every signature is wrong. */
  readonly isForged: boolean;
}

/** Writes the next delivery over a connection's buffer: job id, delivery id and signature change, all else stays. */
export interface Requests {
  /** A buffer for one connection. */
  createBuffer(): Buffer;
  /** The workflow job's id; undefined when all are sent. */
  writeNext(buffer: Buffer): number | undefined;
}

/** Signs `count` deliveries; only the signatures are kept, so that a hundred thousand of them cost a few megabytes. */
export function createRequests(options: RequestOptions): Requests {
  const body = Buffer.from(options.payload);
  const idPlaces = placesOf(body, String(FIRST_WORKFLOW_JOB_ID));
  const head = Buffer.from(composeHead(options, body.length), "latin1");
  const signaturePlace = head.indexOf("sha256=") + "sha256=".length;
  const uuidPlace = head.indexOf(UUID_START) + UUID_START.length;
  const signatures = Buffer.alloc(options.count * SIGNATURE_LENGTH);
  const idOf = (index: number) => String(FIRST_WORKFLOW_JOB_ID + options.first + index);
  for (let index = 0; index < options.count; index += 1) {
    for (const place of idPlaces) body.write(idOf(index), place, "latin1");
    const signature = createHmac("sha256", options.secret).update(body).digest("hex");
    signatures.write(options.isForged ? forge(signature) : signature, index * SIGNATURE_LENGTH, "latin1");
  }
  let next = 0;
  return {
    createBuffer: () => Buffer.concat([head, body]),
    writeNext(buffer) {
      if (next === options.count && options.isRepeating) next = 0;
      if (next === options.count) return undefined;
      const index = next++;
      for (const place of idPlaces) buffer.write(idOf(index), head.length + place, "latin1");
      const from = index * SIGNATURE_LENGTH;
      signatures.copy(buffer, signaturePlace, from, from + SIGNATURE_LENGTH);
      buffer.write(String(options.first + index).padStart(UUID_DIGITS, "0"), uuidPlace, "latin1");
      return FIRST_WORKFLOW_JOB_ID + options.first + index;
    },
  };
}

function composeHead({ path, event }: RequestOptions, length: number): string {
  return [
    `POST ${path} HTTP/1.1`,
    "Host: grp.example.com",
    "User-Agent: GitHub-Hookshot/044aadd",
    "Accept: */*",
    "Content-Type: application/json",
    `X-GitHub-Event: ${event}`,
    `X-GitHub-Delivery: ${UUID_START}${"0".repeat(UUID_DIGITS)}`,
    "X-GitHub-Hook-ID: 292430182",
    "X-GitHub-Hook-Installation-Target-ID: 79929171",
    "X-GitHub-Hook-Installation-Target-Type: repository",
    `X-Hub-Signature-256: sha256=${"0".repeat(SIGNATURE_LENGTH)}`,
    `Content-Length: ${length}`,
    "\r\n",
  ].join("\r\n");
}

function placesOf(body: Buffer, text: string): number[] {
  const places: number[] = [];
  for (let at = body.indexOf(text); at !== -1; at = body.indexOf(text, at + 1)) places.push(at);
  if (places.length === 0) throw new Error("the payload holds no workflow job id");
  return places;
}

function forge(signature: string): string {
  return `${signature.slice(0, -1)}${signature.endsWith("0") ? "1" : "0"}`;
}
