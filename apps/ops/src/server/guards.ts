import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import type { Credentials } from "../config.ts";

/** Basic authentication; the comparison takes the same time whatever was sent. */
export function requireCredentials({ user, password }: Credentials): RequestHandler {
  const wanted = digest(`${user}:${password}`);
  return (request, response, next) => {
    const [scheme, encoded] = (request.get("authorization") ?? "").split(" ");
    const given =
      scheme?.toLowerCase() === "basic" ? Buffer.from(encoded ?? "", "base64").toString("utf8") : "";
    if (timingSafeEqual(digest(given), wanted)) return next();
    response
      .status(401)
      .set("WWW-Authenticate", 'Basic realm="grp", charset="UTF-8"')
      .json({ error: "unauthorized" });
  };
}

/** Hashed first: `timingSafeEqual` wants equal lengths, and a length tells something too. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Without a password a web page elsewhere could reach this port by a name of its own that points to 127.0.0.1
 * (DNS rebinding): only requests that name the loopback are answered.
 */
export const requireLoopbackName: RequestHandler = (request, response, next) => {
  const name = request.hostname;
  if (["127.0.0.1", "localhost", "[::1]", "::1"].includes(name)) return next();
  response.status(403).json({ error: "wrong_host" });
};

/**
 * Browsers send the password along with requests that other sites make. Those carry a `Sec-Fetch-Site`, or in an old
 * browser an `Origin`; a command line carries neither. So a changing request is refused when it comes from another site.
 */
export const refuseOtherSites: RequestHandler = (request, response, next) => {
  if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return next();
  const site = request.get("sec-fetch-site");
  const origin = request.get("origin");
  const isForeign =
    site === undefined
      ? origin !== undefined && hostOf(origin) !== request.get("host")
      : site !== "same-origin" && site !== "none";
  if (isForeign) return void response.status(403).json({ error: "cross_site" });
  next();
};

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

export const requireWritable =
  (isReadOnly: boolean): RequestHandler =>
  (_request, response, next) => {
    if (!isReadOnly) return next();
    response.status(403).json({ error: "read_only", why: "set OPS_READ_ONLY=false on the ops process" });
  };

/** Nothing is loaded from elsewhere. Inline styles only: both bull-board and the pages bring some. */
export const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    "Content-Security-Policy": [
      ...[
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
      ],
      ...[
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'self'",
        "manifest-src 'self'",
      ],
      "frame-ancestors 'none'",
    ].join("; "),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    // Not `no-referrer`: with it browsers send our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
  });
  next();
};
