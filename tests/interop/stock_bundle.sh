#!/usr/bin/env bash
# Makes a bundle that `casevault receive` takes, with age, minisign, tar and coreutils alone: the recipe of
# docs/sharing-with-stock-tools.md, word for word from "cp" on.
#
# stock_bundle.sh FOLDER SECRET-KEY RECIPIENT OUT-FILE
#
# FOLDER holds the files; SECRET-KEY is a minisign secret key without a password (minisign -G -W); RECIPIENT is the age
# recipient of whoever shall open it. ORGANISATION, where it is set, names the sender.
set -euo pipefail
if [ $# -ne 4 ]; then
  echo "usage: stock_bundle.sh FOLDER SECRET-KEY RECIPIENT OUT-FILE" >&2
  exit 2
fi
folder=$(realpath -- "$1") key=$(realpath -- "$2") recipient=$3 out=$(realpath -m -- "$4")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir bag
cp -r "$folder" bag/data
cd bag

printf 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n' > bagit.txt
printf 'Source-Organization: %s\n' "${ORGANISATION:-unnamed}" > bag-info.txt
printf 'Payload-Oxum: %s.%s\n' "$(find data -type f -exec cat {} + | wc -c)" "$(find data -type f -printf . | wc -c)" \
  >> bag-info.txt
find data -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum > manifest-sha256.txt
sha256sum bagit.txt bag-info.txt manifest-sha256.txt > tagmanifest-sha256.txt
minisign -S -s "$key" -m tagmanifest-sha256.txt

cd ..
{
  printf 'bag/%s\n' tagmanifest-sha256.txt tagmanifest-sha256.txt.minisig
  sed -E 's/^.{64}  /bag\//' bag/tagmanifest-sha256.txt bag/manifest-sha256.txt
} > list.txt
tar -c --no-recursion --hard-dereference --no-unquote --verbatim-files-from -T list.txt | age -r "$recipient" -o "$out"
