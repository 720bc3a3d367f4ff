import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { act, getParameter } from "./actions.ts";
import { AWS_THROTTLES, createBuckets, type Throttle } from "./buckets.ts";
import { type CloudOptions, createCloud } from "./cloud.ts";
import { Ec2Fault } from "./fault.ts";
import { type FormNode, parseForm, textOf } from "./form.ts";
import { DEFAULT_IMAGES, DEFAULT_PARAMETERS } from "./images.ts";
import { createScript, type FailOptions } from "./script.ts";
import type { CapacityPool, Ec2Call, Ec2Machine } from "./types.ts";
import { renderAnswer, renderError } from "./xml.ts";

/** A bench makes very many, each with its user data. */
const MAX_CALLS = 5_000;

export interface Ec2StandInOptions extends Partial<CloudOptions> {
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** AWS's own buckets when absent; false: none. */
  readonly throttle?: Readonly<Record<string, Throttle>> | false;
}

export interface Ec2StandIn {
  readonly url: string;
  /** Every machine ever started, the ended ones too. */
  instances(): readonly Ec2Machine[];
  get(instanceId: string): Ec2Machine | undefined;
  /** Every call in order (the last 5,000); forget them with `calls.length = 0`. */
  readonly calls: Ec2Call[];
  /** The next call of that action (any, if none is named) gets this error and has no effect. */
  failNext(code: string, options?: FailOptions): void;
  forgetFailures(): void;
  /** The next call of that action (RunInstances) that succeeds does its work, and its answer never comes: the connection breaks. */
  loseNextResponse(action?: string): void;
  /**
   * The next call (of that action, if given) happens, and its answer never comes: the connection stays open. Resolves
   * when the call has arrived.
   */
  hangNext(action?: string): Promise<void>;
  /** What SSM's parameters hold. */
  readonly parameters: Readonly<Record<string, string>>;
  setParameter(name: string, value: string): void;
  /** At most `limit` live machines in that pool; partial launches follow from it. The latest word counts. */
  limitCapacity(pool: CapacityPool, limit: number): void;
  /** Spot capacity is taken back. */
  interruptSpot(instanceId: string): void;
  /** As `disableApiTermination` does. */
  protect(instanceId: string): void;
  /** `shutdown -h now` inside the machine: ends or stops it as `InstanceInitiatedShutdownBehavior` says. */
  shutDown(instanceId: string): void;
  close(): Promise<void>;
}

/** EC2's query protocol (and SSM's GetParameter) over HTTP, one endpoint for every region, signatures unchecked. */
export async function createEc2StandIn(options: Ec2StandInOptions = {}): Promise<Ec2StandIn> {
  const parameters: Record<string, string> = { ...(options.parameters ?? DEFAULT_PARAMETERS) };
  const cloud = createCloud({
    accountId: "123456789012",
    images: DEFAULT_IMAGES,
    pendingMs: 0,
    shuttingDownMs: 0,
    consistencyDelayMs: 0,
    forgetTerminatedAfterMs: 3_600_000,
    maxPageSize: 1_000,
    now: Date.now,
    ...options,
    parameters,
  });
  const throttles = options.throttle === false ? {} : (options.throttle ?? AWS_THROTTLES);
  const buckets = createBuckets(throttles, cloud.options.now);
  const script = createScript();
  const calls: Ec2Call[] = [];

  const perform = (call: Call): string => {
    script.failIfTold(call.action);
    if (call.action === "GetParameter")
      return JSON.stringify(getParameter(cloud, buckets, call.region, textOf(call.request, "Name") ?? ""));
    return renderAnswer(
      call.action,
      call.requestId,
      act(cloud, buckets, call.region, call.action, call.request),
    );
  };
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const call = await readCall(request);
    const { region, action } = call;
    const reply = (outcome: string, status: number, body: string) => {
      calls.push({ action, region, request: call.request, outcome });
      if (calls.length > MAX_CALLS) calls.shift();
      if (outcome === "ok" && script.isToLose(action)) request.socket.destroy();
      else if (!script.isToHang(action)) send(response, call, status, body);
    };
    try {
      reply("ok", 200, perform(call));
    } catch (error) {
      const fault = error instanceof Ec2Fault ? error : new Ec2Fault("InternalError", String(error));
      reply(fault.code, fault.status, renderFault(call, fault));
    }
  };
  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => request.socket.destroy(error as Error));
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    instances: () => cloud.machines(),
    get: cloud.get,
    calls,
    failNext: script.failNext,
    forgetFailures: script.forgetFailures,
    loseNextResponse: script.loseNext,
    hangNext: script.hangNext,
    parameters,
    setParameter(name, value) {
      parameters[name] = value;
    },
    limitCapacity: cloud.limitCapacity,
    interruptSpot: (instanceId) => cloud.end(instanceId, "spot"),
    protect: cloud.protect,
    shutDown(instanceId) {
      const behavior = textOf(cloud.get(instanceId)?.request, "InstanceInitiatedShutdownBehavior");
      cloud.end(instanceId, "shutdown", behavior === "terminate" ? "terminated" : "stopped");
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

interface Call {
  readonly action: string;
  readonly region: string;
  readonly request: FormNode;
  readonly requestId: string;
  readonly isJson: boolean;
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString("utf8");
  // Credential=AKID/20261123/us-east-1/ec2/aws4_request
  const region = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(request.headers.authorization ?? "")?.[1];
  const target = request.headers["x-amz-target"];
  const isJson = typeof target === "string";
  const form: FormNode = isJson ? (JSON.parse(body) as FormNode) : parseForm(body);
  const action = isJson ? target.replace(/^.*\./, "") : (textOf(form, "Action") ?? "");
  return { action, region: region ?? "us-east-1", request: form, requestId: randomUUID(), isJson };
}

function renderFault(call: Call, fault: Ec2Fault): string {
  if (call.isJson) return JSON.stringify({ __type: fault.code, message: fault.message });
  return renderError(fault.code, fault.message, call.requestId);
}

function send(response: ServerResponse, call: Call, status: number, body: string): void {
  const type = call.isJson ? "application/x-amz-json-1.1" : "text/xml;charset=UTF-8";
  response.writeHead(status, { "content-type": type, "x-amzn-requestid": call.requestId });
  response.end(body);
}
