#!/usr/bin/env bash
# Bundles the page of `sod watch` and that of reports into dist/watch/page, with the licences of what is in them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
source=src/watch/page
out=dist/watch/page
most=50000 # bytes, as a browser loads them

node_modules/.bin/esbuild "$source"/{page,report}.tsx "$source/page.css" --bundle --minify --target=es2022 --outdir="$out" --log-level=warning
cp "$source/index.html" "$out/"
cat node_modules/{preact,uplot}/LICENSE >"$out/licenses.txt"

for name in page report; do
  bytes=$(cat "$out/$name.js" "$out/page.css" | gzip --best | wc -c)
  echo "setup: the $name of sod has $bytes bytes, compressed"
  [ "$bytes" -le "$most" ] || { echo "setup: that is more than $most: make it smaller" >&2 && exit 1; }
done
