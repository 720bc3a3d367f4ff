import type { Client, Clients } from "./clients.ts";
import type { GitHub } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

interface RawRepository {
  readonly name: string;
  readonly owner: { readonly login: string };
  readonly archived?: boolean;
  readonly disabled?: boolean;
}

/** The repositories that may have work for us: of an App, those it is installed on; of a token, those its user sees. */
export function createRepositories(clients: Clients): Pick<GitHub, "listRepositories"> {
  const list = (client: Client): Promise<readonly RawRepository[]> =>
    clients.app
      ? client.paginate("GET /installation/repositories", { per_page: PAGE })
      : client.paginate("GET /user/repos", { per_page: PAGE });
  return {
    listRepositories: (owner, signal) =>
      clients.use({ owner }, signal, async (client) => {
        const isTheirs = (one: RawRepository) => one.owner.login.toLowerCase() === owner.toLowerCase();
        const found = await list(client);
        return found
          .filter((one) => isTheirs(one) && !one.archived && !one.disabled)
          .map((one) => ({ owner: one.owner.login, repository: one.name }));
      }),
  };
}
