import { type Client, type Clients, saidByAny } from "./clients.ts";
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
      const found = saidByAny(await clients.useEach({ owner }, signal, list)).flat();
      const open = found.filter((one) => isTheirs(one) && !one.archived && !one.disabled);
      const byName = new Map(open.map((one) => [one.name, one]));
      return [...byName.values()].map((one) => ({ owner: one.owner.login, repository: one.name }));
    },
  };
}
