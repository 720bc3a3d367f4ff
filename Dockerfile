# One image for ingress, worker and ops; the command chooses. Node runs the TypeScript as it is, so there is no build step;
# types are not stripped inside node_modules, which is why the workspace is copied as it stands and not deployed into one.
FROM node:24-slim AS base
WORKDIR /app

FROM base AS dependencies
# The manifests alone first: this layer is made anew only when a dependency changes.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches patches
COPY apps/ingress/package.json apps/ingress/
COPY apps/worker/package.json apps/worker/
COPY apps/ops/package.json apps/ops/
COPY packages/config/package.json packages/config/
COPY packages/core/package.json packages/core/
COPY packages/github/package.json packages/github/
COPY packages/ledger/package.json packages/ledger/
COPY packages/providers/package.json packages/providers/
COPY packages/queue/package.json packages/queue/
COPY packages/runtime/package.json packages/runtime/
RUN npx --yes pnpm@12.21.0 install --prod --frozen-lockfile --filter "{./apps/**}..."

FROM base
ENV NODE_ENV=production GRP_ENV_FILE=none
COPY --from=dependencies /app ./
COPY runners.yaml ./
COPY apps apps
COPY packages packages
USER node
EXPOSE 3000 3001 3002 3003 3010
# Node is process 1 and takes SIGTERM itself.
CMD ["node", "apps/ingress/src/main.ts"]
