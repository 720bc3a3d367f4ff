import { BlockList, isIP } from "node:net";
import { url } from "@grp/runtime";

/** Not routed on the internet (RFC 1918, 4193, 6598), or this machine's own. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const)
  PRIVATE.addSubnet(network, bits, "ipv4");
PRIVATE.addAddress("::1", "ipv6");
PRIVATE.addSubnet("fc00::", 7, "ipv6");
PRIVATE.addSubnet("fe80::", 10, "ipv6");

/**
 * Where machines trade tickets for registrations: over TLS, or within a network of one's own as on a developer's machine
 * and in the sandbox. `/webhook` and `/claims` are put behind it.
 */
export const publicUrl = () =>
  checkedUrl(({ protocol, hostname, pathname }) => [
    protocol === "http:" &&
      !isPrivate(hostname) &&
      "must begin with https://: machines are given their registrations there",
    /\/webhook$/i.test(pathname) && "must be without /webhook at its end",
  ]);

/**
 * The REST API: of GitHub's own hosts only those that begin with `api.`. Enterprise Server has it at `/api/v3`, but what
 * stands before that, a gateway or a stand-in, may have it anywhere.
 */
export const githubApiUrl = () =>
  checkedUrl(({ hostname, pathname }) => [
    /(^|\.)(github|ghe)\.com\.?$/.test(hostname) &&
      !hostname.startsWith("api.") &&
      "must be https://api.github.com, https://api.<name>.ghe.com, or https://<host>/api/v3 of GitHub Enterprise Server",
    /\/graphql$/i.test(pathname) &&
      "must be the REST API's address, without /graphql (https://<host>/api/v3 of GitHub Enterprise Server)",
  ]);

/** To which paths are added. Every problem is told. */
function checkedUrl(findProblems: (url: URL) => (string | false)[]) {
  return url().superRefine((text, context) => {
    const parsed = new URL(text);
    const problems = [
      ...findProblems(parsed),
      // An empty one too, which `URL` does not show.
      /[?#]/.test(text) && "must have no ? and no #",
      parsed.username + parsed.password !== "" && "must have no user name and no password",
    ];
    for (const message of problems) if (message !== false) context.addIssue({ code: "custom", message });
  });
}

/** Endings that are nobody's on the internet (RFC 6761, 6762, 8375, 9476), or that lead to private addresses only. */
const PRIVATE_NAMES = [
  /\.(localhost|local|internal|test|lan|home\.arpa)$/,
  // Of Kubernetes' services, Tailscale, and AWS's internal load balancers.
  /\.svc$|\.ts\.net$|^internal-[^.]+\.[^.]+\.elb\.amazonaws\.com(\.cn)?$/,
];

/** Names of one part are a container network's. */
function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, "");
  const family = isIP(host);
  if (family !== 0) return PRIVATE.check(host, family === 4 ? "ipv4" : "ipv6");
  return !host.includes(".") || PRIVATE_NAMES.some((pattern) => pattern.test(host));
}
