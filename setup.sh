#!/usr/bin/env bash
# Makes a fresh clone ready to run: system packages, npm packages, native module, compiled TypeScript.
# Does only what is missing or out of date, and says so; silent when there is nothing to do. Where no compiler can be had, the CPU's
# kernels are left out: then there is the GPU.
# In an installed package, which has its npm packages and its compiled TypeScript, it makes the rest.
# With --tests, also for the tests: they open a browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { echo "setup: $*"; }
fail() {
  echo "setup: $*" >&2
  exit 1
}

check_node() {
  local version
  version=$(node --version 2>/dev/null) || fail 'Node.js 20 or newer is needed: https://nodejs.org'
  local major=${version#v}
  [ "${major%%.*}" -ge 20 ] || fail "Node.js 20 or newer is needed, found $version: https://nodejs.org"
}

has_toolchain() {
  command -v make >/dev/null && command -v ${CXX:-g++} >/dev/null
}

install_toolchain() {
  [ -z "${CXX:-}" ] || fail "the CPU's kernels need make and the compiler that CXX names, $CXX; install them and run setup.sh again"
  install_packages "the CPU's kernels need make and a C++17 compiler (g++, or another that CXX names)" has_toolchain g++ make
}

has_browser() {
  command -v "${CHROMIUM:-chromium}" >/dev/null
}

install_browser() {
  [ -z "${CHROMIUM:-}" ] || fail "the browser that CHROMIUM names, $CHROMIUM, is not there; the tests need it"
  install_packages 'the tests need Chromium (chromium, or another that CHROMIUM names)' has_browser chromium
}

# What is needed, the check whether it is there, and the packages that bring it.
install_packages() {
  local needed=$1 is_there=$2 packages=("${@:3}") root=()
  command -v apt-get >/dev/null || fail "$needed; install it and run setup.sh again"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "run this as root, then setup.sh again: apt-get install ${packages[*]}"
    root=(sudo)
    [ -t 0 ] || root+=(--non-interactive)
  fi
  say "installing ${packages[*]}"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
  local attempt
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  for attempt in 1 2 3; do
    if { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends "${packages[@]}"; } </dev/null >"$log" 2>&1; then
      break
    fi
    [ "$attempt" -lt 3 ] && sleep 5
  done
  "$is_there" || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install ${packages[*]}"
  }
}

is_package() {
  [ ! -d src ]
}

npm_stamp=node_modules/.setup-lock

has_npm_packages() {
  [ "$(cksum <package-lock.json)" = "$(cat "$npm_stamp" 2>/dev/null)" ]
}

install_npm_packages() {
  say 'installing npm packages'
  npm ci --include=dev --no-audit --no-fund --loglevel=error </dev/null >/dev/null
  cksum <package-lock.json >"$npm_stamp"
}

build_native() {
  make --question --silent --directory=native >/dev/null 2>&1 && return
  say 'building the native module'
  make --silent --directory=native --jobs="$(getconf _NPROCESSORS_ONLN)" </dev/null
}

build_stamp=dist/.built

is_built() {
  [ -f dist/cli.js ] && [ -f "$build_stamp" ] &&
    [ -z "$(find src package.json package-lock.json tsconfig.json tsconfig.build.json -newer "$build_stamp" -print -quit)" ]
}

build_typescript() {
  say 'compiling TypeScript'
  mkdir -p dist
  touch "$build_stamp.new" # sources that change during the build count as newer
  [ -f dist/cli.js ] || rm -f dist/.tsbuildinfo # else tsc believes that it is there
  npm run --silent build </dev/null
  chmod +x dist/cli.js
  mv "$build_stamp.new" "$build_stamp"
}

check_node
has_toolchain || (install_toolchain) || [ "${1:-}" != --tests ] || fail "the tests compare with the CPU's kernels"
is_package || has_npm_packages || install_npm_packages
if has_toolchain; then
  build_native
elif [ ! -f native/build/sod.node ]; then
  say "the CPU's kernels are left out: everything works on a GPU, with --device gpu"
fi
is_package || is_built || build_typescript
[ "${1:-}" != --tests ] || has_browser || install_browser
