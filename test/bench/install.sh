#!/usr/bin/env bash
# Installs what the benchmarks of packaging need beside the servers of the tests: Info-ZIP and GNU time, which Adit stands beside,
# and what makes the Python environment of the first Adit's packager. For Debian 12, as root (or with sudo).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

"$here/../servers/install.sh" activemq postgresql radosgw

missing=()
for package in curl python3-venv time zip; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
