import XMLBuilder from "fast-xml-builder";

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  suppressEmptyNode: true,
});
const NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/";

export type XmlValue =
  | string
  | number
  | boolean
  | undefined
  | { readonly [name: string]: XmlValue }
  | XmlList;
type XmlList = readonly XmlValue[];

/** The answer of one action, as EC2 wraps it. */
export function renderAnswer(action: string, requestId: string, body: { [name: string]: XmlValue }): string {
  return builder.build({ [`${action}Response`]: { "@xmlns": NAMESPACE, requestId, ...clean(body) } });
}

export function renderError(code: string, message: string, requestId: string): string {
  return builder.build({
    Response: { Errors: { Error: { Code: code, Message: message } }, RequestID: requestId },
  });
}

/** A list in EC2's manner: `<groupSet><item/><item/></groupSet>`. */
export function itemSet(items: readonly XmlValue[]): XmlValue {
  return items.length > 0 ? { item: items } : {};
}

function clean(body: { readonly [name: string]: XmlValue }): { readonly [name: string]: XmlValue } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}
