#!/usr/bin/env bash
# Runs a command with a program in the place of a GPU, SwiftShader of the browser that the tests open. With VK_ICD_FILENAMES set,
# that driver is taken; where it is empty, the machine's own.
set -euo pipefail
if [ -z "${VK_ICD_FILENAMES+set}" ]; then
  browser=$(dirname "$(readlink -f "$(command -v "${CHROMIUM:-chromium}")")")
  for folder in "$browser" /usr/lib/chromium; do
    [ -f "$folder/vk_swiftshader_icd.json" ] || continue
    export VK_ICD_FILENAMES=$folder/vk_swiftshader_icd.json
    export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    break
  done
fi
[ -n "${VK_ICD_FILENAMES:-}" ] || unset VK_ICD_FILENAMES
exec "$@"
