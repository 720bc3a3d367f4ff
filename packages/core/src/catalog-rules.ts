import type { Issue, Path } from "./catalog-issues.ts";
import { checkMachines } from "./catalog-machines.ts";
import type { Catalog, RunnerClass } from "./catalog-schema.ts";
import { holdsAll, isServed } from "./names.ts";

/** Rules that span more than one place. `places`: where its classes stand in the file. */
export function crossCheck(catalog: Catalog, places?: readonly number[]): Issue[] {
  const issues: Issue[] = checkAllow(catalog);
  const names = new Set<string>();
  for (const [index, runnerClass] of catalog.classes.entries()) {
    const path = ["classes", places?.[index] ?? index];
    // Two that differ in case alone are one to whoever reads a log or asks for one.
    const name = runnerClass.name.toLowerCase();
    if (names.has(name))
      issues.push({
        path: [...path, "name"],
        message: `"${runnerClass.name}" is used twice (upper and lower case are one)`,
      });
    names.add(name);
    issues.push(...checkLabels(catalog.classes.slice(0, index), runnerClass, path));
    issues.push(...checkRepositories(catalog, runnerClass, path));
    issues.push(...checkShare(catalog, runnerClass, path));
    issues.push(...checkMachines(runnerClass, path));
    for (const [at, offering] of runnerClass.offerings.entries()) {
      const where = [...path, "offerings", at];
      if (offering.provider === "codemagic")
        issues.push(...checkTeam(catalog, runnerClass, offering.team, where));
    }
  }
  return issues;
}

/** A class that no workflow job can reach is a mistake: the first in the file that fits takes them all (see `match.ts`). */
function checkLabels(earlier: readonly RunnerClass[], runnerClass: RunnerClass, path: Path): Issue[] {
  const where = [...path, "labels"];
  const labels = runnerClass.labels.map((label) => label.toLowerCase());
  const twice = labels.find((label, at) => labels.indexOf(label) !== at);
  if (twice !== undefined)
    return [{ path: where, message: `"${twice}" stands twice: GitHub compares labels without case` }];
  const taker = earlier.find((one) => takesAllOf(one, runnerClass));
  if (!taker) return [];
  return [
    {
      path: where,
      message: `no workflow job can reach it: "${taker.name}" stands before it and serves all that it would; put the class with fewer labels first`,
    },
  ];
}

function takesAllOf(earlier: RunnerClass, later: RunnerClass): boolean {
  if (!holdsAll(earlier.labels, later.labels)) return false;
  if (later.allowPublicRepositories && !earlier.allowPublicRepositories) return false;
  if (!earlier.repositories) return true;
  return later.repositories !== undefined && holdsAll(earlier.repositories, later.repositories);
}

function checkAllow({ allow }: Catalog): Issue[] {
  if (allow.owners.length + allow.repositories.length > 0) return [];
  return [{ path: ["allow"], message: "nobody is served: name owners or repositories" }];
}

/** Who is not allowed at all gains nothing by being named here. */
function checkRepositories({ allow }: Catalog, { repositories = [] }: RunnerClass, path: Path): Issue[] {
  return repositories.flatMap((fullName, at) => {
    const [owner = "", repository = ""] = fullName.split("/");
    if (isServed(allow, { owner, repository })) return [];
    const message = `"${fullName}" is not served: neither its owner nor it is under allow`;
    return [{ path: [...path, "repositories", at], message }];
  });
}

/** A part that is larger than the whole is a mistake: one of the two numbers is not what was meant. */
function checkShare(catalog: Catalog, runnerClass: RunnerClass, path: Path): Issue[] {
  const part = runnerClass.maxRunnersPerRepository;
  if (part === undefined) return [];
  const wholes = [
    ["maxRunners", runnerClass.maxRunners],
    ["the catalog's maxRunnersPerRepository", catalog.maxRunnersPerRepository],
    ["the catalog's maxRunnersPerOwner", catalog.maxRunnersPerOwner],
  ] as const;
  return wholes
    .filter(([, whole]) => whole !== undefined && part > whole)
    .map(([name, whole]) => ({
      path: [...path, "maxRunnersPerRepository"],
      message: `${part} exceeds ${name} (${whole})`,
    }));
}

function checkTeam(catalog: Catalog, runnerClass: RunnerClass, teamName: string, where: Path): Issue[] {
  const team = catalog.codemagicTeams[teamName];
  if (!team) return [{ path: [...where, "team"], message: `no team "${teamName}" under codemagicTeams` }];
  if (runnerClass.maxRuntime <= team.maxBuildDuration) return [];
  const [runs, limit] = [runnerClass.maxRuntime, team.maxBuildDuration].map((ms) => `${ms / 60_000}m`);
  return [{ path: where, message: `maxRuntime ${runs} exceeds the CodeMagic plan's build limit ${limit}` }];
}
