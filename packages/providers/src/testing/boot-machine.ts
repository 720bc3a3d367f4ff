import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** An HTTP server that stands for the ingress, the metadata service and the download of the runner program at once. */
export async function startWorld(answer: (asked: Asked) => Promise<Answer | undefined>) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const one = { path: request.url ?? "", authorization: request.headers.authorization, body };
    asked.push(one);
    const { status, body: text = "", headers } = (await answer(one)) ?? { status: 404 };
    response
      .writeHead(status, headers)
      .end(text.startsWith("base64:") ? Buffer.from(text.slice(7), "base64") : text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    asked,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: a bash expansion.
const NOTE = '#!/bin/bash\necho "${0##*/} $*" >>"$0.log"\n';

/** Harmless stand-ins for what would touch the machine; `runuser` and `sudo` run the command as ourselves. */
const COMMANDS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["shutdown", "poweroff", "useradd", "sysadminctl", "iptables", "ip6tables", "chown", "ip"].map((name) => [
      name,
      NOTE,
    ]),
  ),
  // Who writes rules to one that reads none may be killed by SIGPIPE.
  pfctl: `${NOTE}[[ $* != *"-f -" ]] || cat >/dev/null\n`,
  id: '#!/bin/bash\n[ "$*" != grp-runner ] || exit 1\nexec /usr/bin/id "$@"\n',
  runuser: `${NOTE}while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n`,
  sudo: `${NOTE}while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n`,
};

/** A folder that is a machine: stand-in commands first on PATH, and `/opt/grp` inside. */
export function createMachine() {
  const folder = mkdtempSync(join(tmpdir(), "grp-boot-"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const put = (name: string, text: string) => {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  };
  for (const [name, text] of Object.entries(COMMANDS)) put(name, text);
  const children = new Set<ReturnType<typeof spawn>>();
  return {
    folder,
    put,
    /** Every call of a stand-in command. */
    calls(name: string): string[] {
      const file = join(bin, `${name}.log`);
      return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
    },
    read: (path: string) => readFileSync(join(folder, path), "utf8"),
    has: (path: string) => existsSync(join(folder, path)),
    /** Runs the script to its end. */
    async run(script: string, env: Record<string, string>) {
      const file = join(folder, "boot.sh");
      writeFileSync(file, script);
      const child = spawn("bash", [file], {
        env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, GRP_ROOT: join(folder, "opt"), ...env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      children.add(child);
      let output = "";
      child.stdout.on("data", (data) => (output += data));
      child.stderr.on("data", (data) => (output += data));
      const [code] = await once(child, "exit");
      children.delete(child);
      // A `sleep` of the guard may hold them a second longer.
      child.stdout.destroy();
      child.stderr.destroy();
      return { code: code as number | null, output };
    },
    remove() {
      for (const child of children) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
