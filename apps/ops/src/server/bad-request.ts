/** A request that can't be meant as it stands: answered with its message, and no news for the log. */
export class BadRequestError extends Error {
  override readonly name = "BadRequestError";
  readonly status = 400;
}
