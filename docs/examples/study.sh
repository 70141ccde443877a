#!/usr/bin/env bash
# From a query to a verified archive with curl and jq:
#   ADIT_URL=http://localhost:3000 ADIT_KEY=adit_… ./study.sh railroads.zip
set -euo pipefail

url=${ADIT_URL:-http://localhost:3000}
file=${1:-railroads.zip}

# call METHOD PATH [BODY]: prints the answer. Where the server is busy (429, 503) curl waits as long as it says, and asks again.
call() {
  local answer
  answer=$(curl -sS --fail-with-body --retry 5 -X "$1" -H "Authorization: Bearer $ADIT_KEY" -H 'Prefer: wait=20' \
    ${3:+-H 'Content-Type: application/json' -d "$3"} "$url$2") || {
    jq -r '.detail? // .' <<<"$answer" >&2
    return 1
  }
  printf '%s\n' "$answer"
}

# What does the query find?
query='{"bool": {"must": [{"match": {"text": "railroad"}}], "filter": [{"range": {"year": {"lt": 1900}}}]}}'
call POST /api/collections/sotu/search "{\"query\": $query, \"limit\": 0}" | jq -r '"\(.hits) documents"'

# Fix the result.
docset=$(call POST /api/docsets "{\"name\": \"Railroads\", \"collection\": \"sotu\", \"query\": $query}" | jq -r .id)

# Ask for the dump, and poll until it is over. "Prefer: wait" (above) lets the server answer as soon as it is, if that takes a while.
dump=/api/docsets/$docset/dump?fmt=meta,txt
status=$(call POST "$dump")
until [ "$(jq -r .done <<<"$status")" = true ]; do
  sleep 1
  status=$(call GET "$dump")
  jq -r '"\(.progress)% \(.phase // .status)"' <<<"$status" >&2
done
jq -r .message <<<"$status"
[ "$(jq -r .status <<<"$status")" = successful ]

# Take the archive. Each time a fresh link, and what is there already is not asked for again (-C -).
rm -f "$file.part"
for _ in 1 2 3 4 5; do
  link=$(curl -sS --fail-with-body -o /dev/null -w '%{redirect_url}' -H "Authorization: Bearer $ADIT_KEY" \
    "$url$(jq -r .archive.href <<<"$status")")
  curl -sS --fail -C - -o "$file.part" "$link" && break
done

# Pieces of two archives would be found out here.
sha256sum --quiet -c <<<"$(jq -r .archive.sha256 <<<"$status")  $file.part"
mv "$file.part" "$file"
echo "$file: $(stat -c %s "$file") bytes, its SHA-256 is right."
