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
  url().superRefine((text, context) => {
    for (const problem of findProblems(text)) context.addIssue({ code: "custom", message: problem });
  });

function findProblems(text: string): string[] {
  const { protocol, hostname, pathname, username, password } = new URL(text);
  const found: (string | false)[] = [
    protocol === "http:" &&
      !isPrivate(hostname) &&
      "must begin with https://: machines are given their registrations there",
    /\/webhook$/i.test(pathname) && "must be without /webhook at its end",
    // An empty one too, which `URL` does not show.
    /[?#]/.test(text) && "must have no ? and no #",
    username + password !== "" && "must have no user name and no password",
  ];
  return found.filter((problem) => problem !== false);
}

/** Names of one part are a container network's; .test and the like are nobody's on the internet (RFC 6761, 6762, 9476). */
function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  if (family !== 0) return PRIVATE.check(host, family === 4 ? "ipv4" : "ipv6");
  return !host.includes(".") || /\.(localhost|local|internal|test)$/.test(host);
}

/** Every server of GitHub's own begins with `api.`, every other one needs its path; a stand-in runs on this machine. */
export const githubApiUrl = () =>
  url().refine((text) => {
    const { hostname, pathname } = new URL(text);
    return pathname !== "/" || /^(api\.|127\.|localhost$|\[::1\]$)/.test(hostname);
  }, "must be https://api.github.com, or https://<host>/api/v3 of GitHub Enterprise Server");
