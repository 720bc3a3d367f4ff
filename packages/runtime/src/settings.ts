import { createPrivateKey } from "node:crypto";
import { z } from "zod";

/** A whole number within bounds, both included. */
export function wholeNumber(least: number, most: number) {
  return z.string().transform((text, context): number => {
    const number = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    return refuse(context, `must be a whole number from ${least} to ${most}`);
  });
}

/** A TCP port; 0 takes any free one. */
export function port() {
  return wholeNumber(0, 65_535);
}

/** An absolute URL of one of these schemes (http and https unless told otherwise), without a slash at its end. */
export function url(schemes: readonly string[] = ["http", "https"]) {
  return z.string().transform((text, context): string => {
    const isKnown = schemes.some((scheme) => text.toLowerCase().startsWith(`${scheme}://`));
    if (isKnown && URL.canParse(text)) return text.replace(/\/+$/, "");
    return refuse(
      context,
      `must be a URL that begins with ${schemes.map((name) => `${name}://`).join(" or ")}`,
    );
  });
}

/** With no path, or the number of a database. */
export function redisUrl() {
  return url(["redis", "rediss"]).refine((text) => /^(\/\d+)?$/.test(new URL(text).pathname), {
    error: "must end with its host and port, or with /<number> for another database than 0",
  });
}

/** A PEM block; `\n` written as two characters, as some secret stores give it, becomes a line end, and so does Windows' own. */
export function pem() {
  return z.string().transform((text, context): string => {
    const lines = text
      .replaceAll("\\n", "\n")
      .replaceAll(/\r|\\r/g, "")
      .trim();
    if (/^-----BEGIN [A-Z ]+-----\n[\s\S]+\n-----END [A-Z ]+-----$/.test(lines)) return `${lines}\n`;
    return refuse(context, "must be a PEM block (-----BEGIN … -----END …)");
  });
}

/** A PEM block that holds an RSA private key, as GitHub gives to an App. What it says about a wrong one shows none of it. */
export function rsaPrivateKey() {
  return pem().transform((text, context): string => {
    try {
      if (createPrivateKey(text).asymmetricKeyType === "rsa") return text;
    } catch {
      // The error may quote what it could not read.
    }
    return refuse(context, "must hold an RSA private key without a passphrase");
  });
}

export function oneOf<const T extends string>(...words: readonly [T, ...T[]]) {
  return z.enum(words, { error: `must be one of ${words.join(", ")}` });
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}
