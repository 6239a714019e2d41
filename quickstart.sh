#!/usr/bin/env bash
# Installs what casevault needs, builds it, shows its main job on a sample case in a temporary
# folder, then a raid, with three custodians that are processes of this computer, and how all comes back.
# For Debian 12 or newer, with nothing but apt; it can be run again at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/support/install-packages.sh
. tests/support/install-packages.sh

heading() { printf '\n=== %s\n' "$*"; }

# Shows a command as one would type it, then runs it.
run() {
  printf '\n$ %s\n' "$1"
  eval "$1"
}

heading "1. Packages"
install_packages "${build_packages[@]}"

heading "2. Build"
[[ -f build/release/build.ninja ]] || cmake --preset release -DCASEVAULT_TESTS=OFF
cmake --build build/release --target casevault_docs -j "$(nproc)"
program=$PWD/build/release/casevault

demo=$(mktemp -d "${TMPDIR:-/var/tmp}/casevault-quickstart.XXXXXX")
custodians=()  # processes
stop_custodians() {
  for process in "${custodians[@]}"; do
    kill "$process" 2>/dev/null && tail --pid="$process" -f /dev/null
  done
  custodians=()
}
clean_up() {
  stop_custodians
  rm -rf "$demo"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

heading "3. A sample case, in $demo"
tests/support/sample-case.sh "$demo/papers"
cd "$demo"
PATH=$(dirname "$program"):$PATH
unset CASEVAULT_DIR CASEVAULT_USER
umask 077
export LC_ALL=C.UTF-8
ls -l papers
cat >testimony.txt <<'END'
Меня вызвали к шести вечера. Телефон забрали на входе и не вернули.
Следователь сказал, что адвоката можно не ждать. Я ничего не подписала.
END
cat <<'END'

The passphrases of this show lie in files, so that it runs by itself. Do not do that: without --passphrase-file,
casevault asks on the terminal.
END
head -c 18 /dev/urandom | base64 >anna.pass
head -c 18 /dev/urandom | base64 >boris.pass
anna="casevault --vault office.vault --user anna --passphrase-file anna.pass"
boris="casevault --vault office.vault --user boris --passphrase-file boris.pass"

heading "4. A vault with five trustees, and two people who share it"
run "$anna init --organisation 'Legal Aid' --trustees 3/5 --shares sheets"
run "$boris user join boris"
run "$anna --yes user approve boris"
run "$anna user list"

heading "5. A case: files and a testimony go in"
run "$anna case new 'The search of 12 March'"
run "$anna add C-1 papers"
run "$anna testimony add C-1 - --witness 'Witness A' --language ru --taken-at 2024-03-14 --place Tbilisi \\
    --consent 'may be used in court, without the name' <testimony.txt"
run "$anna case grant C-1 boris --right read"

heading "6. Finding and reading, as the colleague"
run "$boris list C-1"
run "$boris search следователь"
testimony=$($boris list C-1 | sed -n 's|.*\(C-1/T-[0-9]*\).*|\1|p')
run "$boris cat $testimony"

heading "7. Giving it out: plain files, and a manifest that anybody can check"
run "$boris export C-1 --to for-the-court"
run "cd for-the-court && sha256sum -c manifest-sha256.txt && cd .."

heading "8. Who saw what, and whether everything is whole"
run "$anna audit show"
run "$anna audit verify"
run "$anna verify"

heading "9. Custody: from now on it takes two of three partners abroad (here: three processes of this computer)"
export XDG_STATE_HOME=$demo/state  # this machine's key for them
for place in Georgia Iceland Portugal; do
  printf '\n$ %s\n' "casevault custodian serve --data $place --listen 127.0.0.1:0 --name keeper-$place --place $place &"
  exec {said}< <(exec setpriv --pdeathsig KILL casevault custodian serve --data "$place" --listen 127.0.0.1:0 \
    --name "keeper-$place" --place "$place" 2>"$place.log")
  custodians+=($!)
  read -r -u "$said" address || { cat "$place.log" >&2 && exit 1; }
  echo "$address"
  casevault --quiet custodian invite --data "$place" >>invitations
done
run "$anna custody enroll \$(cat invitations) --threshold 2 --cards 3 --quorum 2 --out cards"
run "$anna custody status"

heading "10. A raid: somebody abroad locks with one card; two cards unlock"
run "casevault order issue lock --card cards/card-1.txt --reason 'alarm from the office'"
status=0
run "$anna list C-1" || status=$?
((status == 17))  # the custodians refused
run "casevault --yes order issue unlock --card cards/card-1.txt --card cards/card-2.txt"
run "$anna list C-1"

heading "11. Everything is taken: two cards destroy the vault, then the machine and the custodians are gone"
run "$anna replicate replica"
run "casevault --yes order issue destroy --card cards/card-1.txt --card cards/card-2.txt --reason raid"
status=0
run "$anna list C-1" || status=$?
((status == 19))  # destroyed
rm -rf office.vault "$XDG_STATE_HOME"
stop_custodians

heading "12. Abroad: a replica and three of the five trustees bring it back for a new owner, olga"
head -c 18 /dev/urandom | base64 >olga.pass
olga="casevault --vault office-abroad.vault --user olga --passphrase-file olga.pass"
run "casevault recovery check sheets/trustee-2.txt"
run "$olga recovery combine sheets/trustee-1.txt sheets/trustee-2.txt sheets/trustee-4.txt --from replica"
run "$olga list C-1"
run "$olga cat $testimony"
run "$olga audit verify"

cat <<END

=== Done. The sample case is deleted again.

The program:     $program
Installing it:   sudo cmake --install build/release       (with man page and completions)
All commands:    $program help

To begin for real, choose a folder for the vault, then:
  $program --vault FOLDER init --organisation 'YOUR OFFICE' --trustees 3/5 --shares SHEETS
It asks for a passphrase, and makes five sheets for five people whom you trust: any three of them and a copy of the vault
bring it back. Nobody else can, not even we.
END
