#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over all C++ files of a configured build, two at a time; exit status 0: clean.
# tests/tidy.sh [BUILD FOLDER, default build/release]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:-build/release}
if [[ ! -f $build/compile_commands.json ]]; then
  echo "usage: tests/tidy.sh [BUILD FOLDER]; $build has no compile_commands.json: configure it first" >&2
  exit 2
fi
# Options that only gcc knows, or that clang 14 takes for an experiment, must not trouble clang.
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u |
  xargs -r -P 2 -n 1 clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-ftrivial-auto-var-init=uninitialized --extra-arg=-Wno-unused-command-line-argument \
    --extra-arg=-Wno-ignored-optimization-argument
