class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** The work's outcome, or a `DeadlineError` after `ms`. The work itself goes on; its late outcome is dropped. */
export function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new DeadlineError(`no answer within ${ms} ms`)), ms);
    work.then(
      (value) => {
        clearTimeout(deadline);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(deadline);
        reject(error);
      },
    );
  });
}
