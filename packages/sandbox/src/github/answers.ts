import { isoTime, repositoryAnswer } from "./payloads.ts";
import type { StandInDelivery, StandInHook, StandInRunner, StandInWorkflowJob } from "./types.ts";

const API = "https://api.github.com";
const SHA = "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0";

/** Renders the world as GitHub's REST API shows it. */
export function runnerAnswer(runner: StandInRunner): object {
  return {
    id: runner.id,
    runner_group_id: runner.groupId,
    name: runner.name,
    os: runner.onlineAt === undefined ? "unknown" : "linux",
    status: runner.status,
    busy: runner.busy,
    ephemeral: true,
    ...(runner.version !== undefined && { version: runner.version }),
    labels: runner.labels.map((name, index) => ({ id: index + 1, name, type: "custom" })),
  };
}

export function jobAnswer(job: StandInWorkflowJob): object {
  const url = `${API}/repos/${job.owner}/${job.repository}`;
  return {
    id: job.id,
    run_id: job.runId,
    run_url: `${url}/actions/runs/${job.runId}`,
    run_attempt: job.runAttempt,
    node_id: `CR_${job.id}`,
    head_sha: SHA,
    head_branch: "main",
    url: `${url}/actions/jobs/${job.id}`,
    html_url: `https://github.com/${job.owner}/${job.repository}/actions/runs/${job.runId}/job/${job.id}`,
    status: job.status,
    conclusion: job.conclusion,
    created_at: isoTime(job.queuedAt),
    started_at: isoTime(job.startedAt ?? job.queuedAt),
    completed_at: isoTime(job.completedAt),
    name: job.name,
    workflow_name: job.workflowName,
    steps: [],
    check_run_url: `${url}/check-runs/${job.id}`,
    labels: job.labels,
    runner_id: job.runnerId ?? null,
    runner_name: job.runnerName ?? null,
    runner_group_id: job.runnerId === undefined ? null : 1,
    runner_group_name: job.runnerId === undefined ? null : "Default",
  };
}

/** A run here has one workflow job. */
export function runAnswer(job: StandInWorkflowJob): object {
  const repository = repositoryAnswer(job.owner, job.repository, job.isPrivate);
  const url = `${API}/repos/${job.owner}/${job.repository}/actions/runs/${job.runId}`;
  const person = { name: "Octo Cat", email: "octocat@github.com" };
  return {
    id: job.runId,
    name: job.workflowName,
    node_id: `WFR_${job.runId}`,
    head_branch: "main",
    head_sha: SHA,
    path: ".github/workflows/ci.yml",
    display_title: job.workflowName,
    run_number: 1,
    run_attempt: job.runAttempt,
    event: "push",
    status: job.status,
    conclusion: job.conclusion,
    workflow_id: 1,
    check_suite_id: 1,
    check_suite_node_id: "CS_1",
    url,
    html_url: `https://github.com/${job.owner}/${job.repository}/actions/runs/${job.runId}`,
    pull_requests: [],
    created_at: isoTime(job.queuedAt),
    updated_at: isoTime(job.completedAt ?? job.startedAt ?? job.queuedAt),
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${API}/repos/${job.owner}/${job.repository}/check-suites/1`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    workflow_url: `${API}/repos/${job.owner}/${job.repository}/actions/workflows/1`,
    head_commit: {
      id: SHA,
      tree_id: SHA,
      message: "Work",
      timestamp: isoTime(job.queuedAt),
      author: person,
      committer: person,
    },
    repository,
    head_repository: repository,
  };
}

export function hookAnswer(hook: StandInHook): object {
  const url = `${API}/hooks/${hook.id}`;
  return {
    type: hook.place.kind === "organization" ? "Organization" : "Repository",
    id: hook.id,
    name: "web",
    active: true,
    events: ["workflow_job"],
    config: { url: hook.url, content_type: hook.contentType, insecure_ssl: "0", secret: "********" },
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: { code: null, status: "unused", message: null },
  };
}

export function deliveryAnswer(delivery: StandInDelivery): object {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: new Date(delivery.sentAt).toISOString(),
    redelivery: delivery.isRedelivery,
    duration: delivery.durationMs / 1_000,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: null,
    repository_id: 1,
    throttled_at: null,
  };
}

export function installationAnswer({
  owner,
  appId,
  id,
  isSuspended,
}: {
  owner: string;
  appId: number;
  id: number;
  isSuspended: boolean;
}): object {
  return {
    id,
    app_id: appId,
    app_slug: "grp",
    client_id: "Iv1.0000000000000000",
    target_id: 1,
    target_type: "Organization",
    account: accountAnswer(owner),
    repository_selection: "all",
    access_tokens_url: `${API}/app/installations/${id}/access_tokens`,
    repositories_url: `${API}/installation/repositories`,
    html_url: `https://github.com/organizations/${owner}/settings/installations/${id}`,
    permissions: PERMISSIONS,
    events: ["workflow_job"],
    single_file_name: null,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    suspended_by: null,
    suspended_at: isSuspended ? "2026-01-02T00:00:00Z" : null,
  };
}

export const PERMISSIONS = {
  actions: "read",
  administration: "write",
  metadata: "read",
  organization_self_hosted_runners: "write",
} as const;

function accountAnswer(login: string): object {
  const url = `${API}/users/${login}`;
  const links = [
    "followers",
    "following",
    "gists",
    "starred",
    "subscriptions",
    "organizations",
    "repos",
    "events",
  ];
  return {
    login,
    id: 1,
    node_id: "O_1",
    avatar_url: "https://avatars.githubusercontent.com/u/1",
    gravatar_id: "",
    url,
    html_url: `https://github.com/${login}`,
    ...Object.fromEntries(links.map((name) => [`${name}_url`, `${url}/${name}`])),
    received_events_url: `${url}/received_events`,
    type: "Organization",
    site_admin: false,
  };
}

export function groupsAnswer(names: readonly string[]): object {
  const groups = names.map((name, index) => ({
    id: index + 1,
    name,
    visibility: "all",
    default: index === 0,
    runners_url: `${API}/orgs/o/actions/runner-groups/${index + 1}/runners`,
    inherited: false,
    allows_public_repositories: false,
    restricted_to_workflows: false,
    selected_workflows: [],
    workflow_restrictions_read_only: false,
  }));
  return { total_count: groups.length, runner_groups: groups };
}

const PLATFORMS = [
  ["linux", "x64"],
  ["linux", "arm64"],
  ["osx", "x64"],
  ["osx", "arm64"],
] as const;

export function downloadsAnswer(program: { url: string; version: string; sha256: string }): object[] {
  return PLATFORMS.map(([os, architecture]) => {
    const filename = `actions-runner-${os}-${architecture}-${program.version}.tar.gz`;
    const download_url = `${program.url}/_downloads/${filename}`;
    return { os, architecture, download_url, filename, sha256_checksum: program.sha256 };
  });
}
