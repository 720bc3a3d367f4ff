import type { Writable } from "node:stream";
import winston from "winston";
import { redact } from "./redact.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];

export type LogFields = Readonly<Record<string, unknown>>;

/** A static message (`runner.provisioned`), the data in fields. Kept this small so that a test can pass a recorder. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LoggerOptions {
  /** On every line, to tell the processes apart. */
  readonly app: string;
  readonly level: LogLevel;
  /** Standard output unless told otherwise. */
  readonly stream?: Writable;
}

/** One JSON object a line. Every field passes `redact`; logging never throws. */
export function createLogger({ app, level, stream = process.stdout }: LoggerOptions): Logger {
  const logger = winston.createLogger({
    level,
    format: winston.format.json({ deterministic: false }),
    transports: [new winston.transports.Stream({ stream })],
  });
  const write = (at: LogLevel) => (message: string, fields?: LogFields) => {
    // Nothing is copied and redacted for a line that nobody will read.
    if (!logger.isLevelEnabled(at)) return;
    const safe = redact({ ...fields, message }) as LogFields;
    const { message: safeMessage, ...data } = safe;
    logger.log({
      time: new Date().toISOString(),
      level: at,
      app,
      message: String(safeMessage),
      ...withoutOwn(data),
    });
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** Fields of the line itself can't be overwritten by data. */
function withoutOwn({ time: _time, level: _level, app: _app, ...data }: LogFields): LogFields {
  return data;
}
