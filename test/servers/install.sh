#!/usr/bin/env bash
# Installs the real servers that the tests run on, and only what is missing of them.
#
#   test/servers/install.sh                        all of them
#   test/servers/install.sh activemq postgresql    only these
#
# Servers: activemq, activemq-debian, artemis, elasticsearch, opensearch, postgresql, rabbitmq, radosgw; and chromium, the browser in which the page is tested;
# readers, the programs with which people open archives; examples, what the examples for miners are written in; and faketime, what
# failure drills need beside the servers.
# For Debian 12, as root (or with sudo).
# What no Debian package brings goes to $ADIT_SERVERS (default: adit-servers in the user's cache folder).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ADIT_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/adit-servers}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

updated=
# install_packages PACKAGE…: those that are not installed yet. No service is started: the tests run their own.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  if [ -z "$updated" ]; then
    as_root apt-get update -qq
    updated=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Prints the major version of the Java on PATH, 0 where there is none.
java_major() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
  echo "${version:-0}"
}

# install_modules NAME: a server's modules at the version that NAME/pom.xml pins. Fails where Maven cannot bring them.
install_modules() {
  local name=$1 pom version target building
  pom=$here/$name/pom.xml
  version=$(sed -n "s:.*<$name.version>\(.*\)</$name.version>.*:\1:p" "$pom")
  target=$cache/$name-$version
  [ -d "$target" ] && return
  [ "$(java_major)" -ge 17 ] || install_packages openjdk-17-jre-headless
  command -v mvn >/dev/null || install_packages maven
  mkdir -p "$cache"
  building=$(mktemp -d "$cache/building.XXXXXX")
  if ! mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$building/lib"; then
    rm -rf "$building"
    echo "install.sh: Maven did not bring $name $version" >&2
    return 1
  fi
  # Another run may have been quicker.
  mv -T "$building/lib" "$target" 2>/dev/null || [ -d "$target" ]
  rm -rf "$building"
}

# Debian's 5.17 where Maven cannot bring the one that is pinned.
install_activemq() {
  install_modules activemq && return
  echo "install.sh: installing Debian's ActiveMQ instead" >&2
  install_activemq_debian
}

install_activemq_debian() {
  [ "$(java_major)" -ge 11 ] || install_packages openjdk-17-jre-headless
  install_packages activemq libxstream-java
}

# Certificates for its TLS, and for that of ActiveMQ, are made with openssl.
install_artemis() {
  command -v openssl >/dev/null || install_packages openssl
  install_modules artemis
}

install_opensearch() {
  install_modules opensearch
}

install_elasticsearch() {
  install_modules elasticsearch
}

install_postgresql() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || install_packages postgresql
}

# RabbitMQ and its plugins are one package. The tests start its program themselves.
install_rabbitmq() {
  install_packages rabbitmq-server
}

# A monitor and one storage daemon (in memory) are what a gateway needs to answer.
install_radosgw() {
  install_packages radosgw ceph-mon ceph-osd ceph-common
}

install_chromium() {
  install_packages chromium fonts-dejavu-core
}

# Debian 12 has no package of the validator of bags: it goes into an environment of its own.
install_readers() {
  local target=$cache/bagit
  command -v jar >/dev/null || install_packages openjdk-17-jdk-headless
  install_packages unzip p7zip-full libarchive-tools python3
  [ -x "$target/bin/bagit.py" ] && return
  install_packages python3-venv
  # An environment cannot be moved: its programs name their place.
  rm -rf "$target"
  mkdir -p "$cache"
  /usr/bin/python3 -m venv "$target"
  "$target/bin/pip" install --quiet --disable-pip-version-check bagit==1.9.0
}

# Clocks that are wrong, for failure drills; and jcmd, which tells what a broker keeps in memory.
install_faketime() {
  install_packages libfaketime
  command -v jcmd >/dev/null || install_packages openjdk-17-jdk-headless
}

# R with httr2, which wants jsonlite for JSON but does not bring it, and a Python environment of its own in which notebooks run.
install_examples() {
  local target=$cache/examples wanted=$here/../client/requirements.txt
  install_packages curl jq r-base-core r-cran-httr2 r-cran-jsonlite
  cmp -s "$wanted" "$target/requirements.txt" && return
  install_packages python3 python3-venv
  rm -rf "$target"
  mkdir -p "$cache"
  /usr/bin/python3 -m venv "$target"
  "$target/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
  # Last: without it, the environment is not whole.
  cp "$wanted" "$target/requirements.txt"
}

[ $# -gt 0 ] || set -- activemq activemq-debian artemis chromium elasticsearch opensearch postgresql rabbitmq radosgw readers examples faketime
for server in "$@"; do
  case $server in
    activemq | activemq-debian | artemis | chromium | elasticsearch | opensearch | postgresql | rabbitmq | radosgw | readers | examples | faketime) "install_${server//-/_}" ;;
    *)
      echo "install.sh: no such server: $server (activemq, activemq-debian, artemis, chromium, elasticsearch, opensearch, postgresql, rabbitmq, radosgw, readers, examples, faketime)" >&2
      exit 2
      ;;
  esac
done
