import { loadEnvironment, reportConfigError } from "../packages/runtime/src/environment.ts";

// Prints what `make run-<label>` and `make test-runners` sign with: the token as every process reads it from the
// environment or .env, else the one for local tests.
try {
  const { WEBHOOK_TOKEN = "" } = loadEnvironment();
  console.log(WEBHOOK_TOKEN.trim() === "" ? "FAKE_TOKEN" : WEBHOOK_TOKEN);
} catch (error) {
  process.exitCode = reportConfigError(error);
}
