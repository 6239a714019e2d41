#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over C++ files, two at a time; exit status 0: clean.
# tests/tidy.sh [FILE..., default: all]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/tidy
# Configured, not built; without gcc's precompiled headers, which clang does not read.
cmake --preset release -B "$build" -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCASEVAULT_TESTS=ON >/dev/null
files=("$@")
if ((${#files[@]} == 0)); then
  mapfile -t files < <(git ls-files 'crypto/*.cpp' 'vault/*.cpp' 'cli/*.cpp' 'tests/unit/*.cpp' 'tests/bench/*.cpp' 'tests/support/*.cpp')
fi
# Options that only gcc knows, or that clang 14 takes for an experiment, must not trouble clang.
printf '%s\0' "${files[@]}" | xargs -0 -r -P 2 -n 1 clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option \
  --extra-arg=-ftrivial-auto-var-init=uninitialized --extra-arg=-Wno-unused-command-line-argument \
  --extra-arg=-Wno-ignored-optimization-argument
