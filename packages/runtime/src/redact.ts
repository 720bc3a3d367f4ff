import { types } from "node:util";

const hidden = "[redacted]";
const MAX_DEPTH = 8;
/** A log line is no place for a body. */
const MAX_TEXT_LENGTH = 8_192;

/** Without case, dashes and underscores: `X-Hub-Signature-256`, `encodedJitConfig`, `private_key`. */
const secretKey = /authorization|cookie|token|secret|ticket|jitconfig|password|signature|privatekey/;

/** What betrays a secret by its looks, wherever it stands in a text. */
const secretText: readonly RegExp[] = [
  /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g,
  /\b(?:Bearer|Basic)\s+[\w.~+/=-]+/gi,
  // The dot and dash are of the newer installation tokens, `ghs_<app id>_<JWT>`.
  /\bgh[a-z]_[\w.-]+/g,
  /\bgithub_pat_\w+/g,
  /\bgrp1\.[\w.-]+/g,
  /\bsha(?:1|256)=[0-9a-f]{40,}/gi,
  // Base64 of `{"` or `{".`: a JWT or a JIT config.
  /\bey[IJ][\w+/=-]{20,}(?:\.[\w=-]+)*/g,
];
/** Whatever one of the patterns here could match holds one of these: most texts hold none, and one look is enough. */
const suspect = /-----BEGIN|bearer|basic|gh[a-z]_|github_pat_|grp1\.|sha(?:1|256)=|ey[ij]|:\/\/|[?&]/i;
const urlPassword = /(\w+:\/\/[^\s/:@]*):[^\s/@]+@/g;
const queryPassword = /([?&](?:[\w-]*(?:token|secret|signature|password|ticket))=)[^&\s]+/gi;

/** The text without anything that looks like a token, ticket, key, JIT config or password in a URL. */
export function redactText(text: string): string {
  if (!suspect.test(text)) return text;
  const bare = secretText.reduce((rest, pattern) => rest.replace(pattern, hidden), text);
  return bare.replace(urlPassword, `$1:${hidden}@`).replace(queryPassword, `$1${hidden}`);
}

/**
 * A copy that is safe to log: secrets gone by key name and by looks at any depth, errors as plain objects with stack,
 * code and causes, bytes as their count, cycles cut.
 */
export function redact(value: unknown): unknown {
  return redactValue(value, []);
}

function redactValue(value: unknown, parents: readonly object[]): unknown {
  if (typeof value === "string") return shorten(redactText(value));
  if (typeof value === "bigint" || typeof value === "symbol") return value.toString();
  if (typeof value === "function") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (parents.includes(value)) return "[circular]";
  if (parents.length >= MAX_DEPTH) return "[too deep]";
  return redactObject(value, [...parents, value]);
}

function redactObject(value: object, parents: readonly object[]): unknown {
  // Most are one or the other; what follows is asked of native code.
  if (Object.getPrototypeOf(value) === Object.prototype) return redactEntries(Object.entries(value), parents);
  if (Array.isArray(value) || types.isSet(value)) return [...value].map((item) => redactValue(item, parents));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  if (types.isNativeError(value)) return redactEntries(errorEntries(value), parents);
  const entries = types.isMap(value) ? [...value] : Object.entries(value);
  return redactEntries(entries, parents);
}

function redactEntries(entries: readonly (readonly [unknown, unknown])[], parents: readonly object[]) {
  const safe: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    const name = String(key);
    const value = isSecret(name, item) ? hidden : redactValue(item, parents);
    // By plain assignment it would become the copy's prototype.
    if (name === "__proto__") Object.defineProperty(safe, name, { value, enumerable: true });
    else safe[name] = value;
  }
  return safe;
}

/** A number or a flag under such a name (`ticketExpiresAt`) is no secret. */
function isSecret(key: string, value: unknown): boolean {
  if (typeof value !== "string" && (typeof value !== "object" || value === null)) return false;
  return isSecretName(key);
}

/** Names of fields are few, and the same in every line. The limit is for objects that come with names from outside. */
const knownNames = new Map<string, boolean>();
const MOST_NAMES = 1_000;

function isSecretName(name: string): boolean {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const isSecret = secretKey.test(name.toLowerCase().replaceAll(/[-_]/g, ""));
  if (knownNames.size < MOST_NAMES) knownNames.set(name, isSecret);
  return isSecret;
}

/** Only these: clients hang whole requests, headers and all, on their errors. */
function errorEntries(error: Error): [string, unknown][] {
  const fields = error as Error & Record<string, unknown>;
  const names = ["name", "message", "code", "status", "errorClass", "stack", "cause", "errors"];
  return names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]);
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT_LENGTH
    ? text
    : `${text.slice(0, MAX_TEXT_LENGTH)}… [${text.length} characters]`;
}
