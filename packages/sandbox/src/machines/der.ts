/** One DER element: tag, length, content. */
export function element(tag: number, ...content: readonly (Buffer | readonly number[])[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part as Uint8Array)));
  return Buffer.concat([Buffer.from([tag, ...lengthOf(bytes.length)]), bytes]);
}

/** One element of BER's indefinite form: its content is ended by two zeros instead of being counted. */
export function endless(tag: number, ...content: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([tag, 0x80]), ...content, Buffer.from([0, 0])]);
}

export const sequence = (...items: readonly Buffer[]): Buffer => element(0x30, ...items);
export const integer = (bytes: readonly number[]): Buffer => element(0x02, bytes);
export const octets = (bytes: Buffer): Buffer => element(0x04, bytes);

/** DER wants a set's elements in the order of their bytes. */
export const set = (...items: readonly Buffer[]): Buffer => element(0x31, ...items.toSorted(Buffer.compare));

/** `1.2.840.113549.1.7.2` */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, [first * 40 + second, ...rest.flatMap(base128)]);
}

/** An algorithm with no parameters. */
export const algorithm = (dotted: string): Buffer => sequence(oid(dotted), element(0x05));

/** UTCTime: `YYMMDDhhmmssZ`. */
export function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "").slice(2);
  return element(0x17, Buffer.from(text));
}

/** Base64 in lines of 64. */
export function base64Lines(der: Buffer): string {
  return (der.toString("base64").match(/.{1,64}/g) ?? []).join("\n");
}

function base128(number: number): number[] {
  const digits = [number & 0x7f];
  for (let rest = number >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}
