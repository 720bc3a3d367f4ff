import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from "node:http";
import type { Express } from "express";

/**
 * `createServer(app)`, twice as fast. For every request Express gives the request and the response its own prototypes
 * (`Object.setPrototypeOf` in `app.handle`), which makes V8 forget what it has learned about their shape. Here they are
 * born with those prototypes, so that Express' own call finds nothing to change.
 */
export function createExpressServer(options: ServerOptions, app: Express): Server {
  class ExpressRequest extends IncomingMessage {}
  Object.setPrototypeOf(ExpressRequest.prototype, app.request);
  app.request = ExpressRequest.prototype as Express["request"];

  class ExpressResponse extends ServerResponse {}
  Object.setPrototypeOf(ExpressResponse.prototype, app.response);
  app.response = ExpressResponse.prototype as Express["response"];

  return createServer(
    { ...options, IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse },
    app as Parameters<typeof createServer>[1],
  );
}
