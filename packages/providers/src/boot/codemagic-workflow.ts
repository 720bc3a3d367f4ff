import { bootBody } from "./script.ts";

const HEAD = `# The CodeMagic workflow that runs GitHub Actions jobs for grp. Copy this file to the root of the repository that
# your CodeMagic app builds (branch as in runners.yaml). Nothing needs to be configured in it: grp starts the build by
# CodeMagic's API and hands over a ticket; the build trades it for a single-use registration, runs one workflow job,
# and ends. No \`triggering\` section: only the API starts it.
#
# Generated from packages/providers/src/boot by \`node scripts/write-codemagic-yaml.ts\`; don't edit it by hand.
workflows:
  github-runner:
    name: GitHub runner
    instance_type: mac_mini_m2
    # Minutes, no less than the class's maxRuntime; 120 is the most there is below the Enterprise plan (180).
    max_build_duration: 120
    scripts:
      - name: Run one workflow job
        script: |
`;

/** The text of deploy/codemagic/codemagic.yaml. */
export function codemagicWorkflow(): string {
  const script = `#!/bin/bash\n${bootBody("codemagic")}`;
  return `${HEAD}${script
    .trimEnd()
    .split("\n")
    .map((line) => `          ${line}`)
    .join("\n")}\n`;
}
