#!/usr/bin/env bash
# Builds the fuzzers (clang, preset `fuzz`) and runs each: tests/fuzz/run.sh [SECONDS EACH, default 600] [NAME...]
# Seeds are the published vectors and a bundle that casevault makes here. Exit status 0: nothing was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-600}
(($# == 0)) || shift
build=${CASEVAULT_FUZZ_BUILD:-build/fuzz}
vectors=${CASEVAULT_VECTORS_DIR:-../shared/vectors}
cmake --preset fuzz -B "$build"
cmake --build "$build" -j "$(nproc)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=$work/seeds
mkdir "$seeds"

# The tag files of a bundle of one record.
make_bundle() {
  local casevault=$build/casevault key
  printf 'a long passphrase for fuzzing only, 1848\n' >"$work/passphrase"
  chmod 600 "$work/passphrase"
  run() { "$casevault" --vault "$work/vault" --user anna --passphrase-file "$work/passphrase" --quiet "$@"; }
  age-keygen -o "$work/key" 2>/dev/null
  minisign -G -f -W -p "$work/sign.pub" -s "$work/sign.key" >/dev/null
  run init --organisation Fuzz --no-recovery >/dev/null 2>&1
  run case new Fuzz >/dev/null
  echo text >"$work/text.txt"
  run add C-1 "$work/text.txt" >/dev/null
  key=$(sed -n 's/^# public key: //p' "$work/key")
  run contact add partner --age "$key" --sign "$(tail -n 1 "$work/sign.pub")" >/dev/null
  run share C-1 --to partner --out "$work/bundle.age" >/dev/null
  age -d -i "$work/key" -o "$work/bundle.tar" "$work/bundle.age"
  tar xf "$work/bundle.tar" -C "$work"
}

make_bundle
cp "$work"/bag/*.txt "$work"/bag/*.minisig "$work"/bag/casevault/{bundle.json,checkpoint} "$work"/bag/casevault/proofs/* \
  "$work/bundle.tar" "$work/bundle.age" "$seeds"
if [[ -d $vectors/age ]]; then
  find "$vectors/age" -type f -size -100k -exec cp -t "$seeds" {} +
fi

names=("$@")
if ((${#names[@]} == 0)); then
  for source in tests/fuzz/*.cpp; do names+=("$(basename "$source" .cpp)"); done
fi
status=0
for name in "${names[@]}"; do
  mkdir "$work/$name"
  program=$(realpath "$build/tests/$name")
  echo "== $name: $seconds s"
  (cd "$work" && "$program" -max_total_time="$seconds" -max_len=200000 -rss_limit_mb=2048 -timeout=60 \
    -print_final_stats=1 "$name" "$seeds" 2>&1) | tail -n 12 || status=1
done
exit "$status"
