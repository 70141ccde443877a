#!/usr/bin/env bash
# Checks what a client without an engine can check of compose.yaml: that it is well-formed, that every variable it needs is in
# .env.example, and that it refuses to start without the secrets. What the settings mean is checked by test/servers/docker.test.ts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
else
  if ! command -v docker-compose >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
  fi
  compose=(docker-compose)
fi

"${compose[@]}" --env-file .env.example -f compose.yaml config --quiet
if env -i PATH="$PATH" HOME="$HOME" "${compose[@]}" --env-file /dev/null -f compose.yaml config --quiet 2>/dev/null; then
  echo 'compose.yaml starts without secrets: each of them must be required' >&2
  exit 1
fi
echo 'docker/compose.yaml: well-formed, and starts with no secret missing'
