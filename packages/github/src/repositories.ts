import { UnauthorizedError } from "@grp/core";
import type { Client, Clients } from "./clients.ts";
import { toGitHubError } from "./errors.ts";
import { chooseError } from "./refusals.ts";
import type { GitHub } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

interface RawRepository {
  readonly name: string;
  readonly owner: { readonly login: string };
  readonly archived?: boolean;
  readonly disabled?: boolean;
}

/** The repositories that may have work for us: of Apps, those that any is installed on; of a token, those its user sees. */
export function createRepositories(clients: Clients): Pick<GitHub, "listRepositories"> {
  const list = (client: Client): Promise<readonly RawRepository[]> =>
    clients.apps.length > 0
      ? client.paginate("GET /installation/repositories", { per_page: PAGE })
      : client.paginate("GET /user/repos", { per_page: PAGE });
  return {
    async listRepositories(owner, signal) {
      const isTheirs = (one: RawRepository) => one.owner.login.toLowerCase() === owner.toLowerCase();
      const outcomes = await clients.useEach({ owner }, signal, list);
      const errors = outcomes.flatMap((one) =>
        one.status === "rejected" ? [toGitHubError(one.reason)] : [],
      );
      if (errors.length === outcomes.length) throw chooseError(errors);
      const found = outcomes.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
      const open = found.filter((one) => isTheirs(one) && !one.archived && !one.disabled);
      const byName = new Map(open.map((one) => [one.name, one]));
      return {
        repositories: [...byName.values()].map((one) => ({ owner: one.owner.login, repository: one.name })),
        // An App that may not, or is not installed there, has nothing to add; who uses several is told elsewhere.
        missed: errors.filter((error) => !(error instanceof UnauthorizedError)),
      };
    },
  };
}
