#!/usr/bin/env bash
# Compares casevault with age and restic on this machine: compare.sh CASEVAULT [FOLDER]
# Every pair runs alternated by hyperfine in one run; "net" is without unlocking, which `status` measures with the same passphrase cost.
# Needs hyperfine, age, restic and python3. FOLDER needs 8 GB free.
set -euo pipefail
casevault=$(realpath "${1:?usage: compare.sh CASEVAULT [FOLDER]}")
work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/casevault-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
export CASEVAULT_DIR=$work/vault CASEVAULT_USER=anna RESTIC_PASSWORD=bench RESTIC_REPOSITORY=$work/restic
export RESTIC_CACHE_DIR=$work/cache
umask 077
head -c 15 /dev/urandom | base64 >passphrase
runs=${RUNS:-5}

head -c 1G /dev/urandom >large
python3 - <<'PYTHON'
import os, random
random.seed(1)
for i in range(20000):
    folder = f"small/{i % 100}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{i}", "wb") as file:
        file.write(os.urandom(random.randrange(500, 12000)))
PYTHON
age-keygen -o key 2>/dev/null
recipient=$(age-keygen -y key)

fresh="rm -rf $work/vault && $casevault --passphrase-file passphrase --yes --quiet init --organisation Bench --no-recovery 2>/dev/null && $casevault --passphrase-file passphrase --quiet case new One >/dev/null"
run="$casevault --passphrase-file passphrase --quiet"
eval "$fresh"

# Alternated: one run of each in turn.
: >times
for ((i = 0; i < runs; i++)); do
  hyperfine --runs 1 --export-json one.json --style none \
    --prepare "true" "$run status" \
    --prepare "$fresh; sync" "$run add C-1 large" \
    --prepare "rm -f large.age; sync" "age -e -r $recipient -o large.age large" \
    --prepare "rm -rf out; sync" "$run export C-1 --to out" \
    --prepare "rm -f large.out; sync" "age -d -i key -o large.out large.age" \
    --prepare "$fresh; sync" "$run add C-1 small" \
    --prepare "rm -rf restic cache; restic init -q; sync" "restic backup -q small" >/dev/null
  python3 -c 'import json; print(*[r["mean"] for r in json.load(open("one.json"))["results"]])' >>times
  [ "$i" -gt 0 ] || { eval "$fresh"; $run add C-1 large >/dev/null; }
done
python3 - <<'PYTHON'
import statistics
rows = [list(map(float, line.split())) for line in open("times")]
unlock, add, enc, export, dec, small, restic = (statistics.median(column) for column in zip(*rows))
print(f"unlock                     {unlock:.2f} s")
print(f"add 1 GiB                  {add:.2f} s, net {add - unlock:.2f}; age -e {enc:.2f}; ratio {(add - unlock) / enc:.2f} (at most 1)")
print(f"export 1 GiB               {export:.2f} s, net {export - unlock:.2f}; age -d {dec:.2f}; ratio {(export - unlock) / dec:.2f} (at most 1)")
print(f"add 20,000 small files     {small:.2f} s, net {small - unlock:.2f}; restic backup {restic:.2f}; ratio {small / restic:.2f}, net {(small - unlock) / restic:.2f} (at most 0.5)")
PYTHON
cmp large out/C-1/large
eval "$fresh"
for what in "add C-1 large" "export C-1 --to out2"; do
  /usr/bin/env python3 - "$casevault" $what <<'PYTHON'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "--passphrase-file", "passphrase", "--quiet", *sys.argv[2:]], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"peak memory of {sys.argv[2]:<11} {peak:.0f} MiB (at most 256 + 64)")
PYTHON
done
