# Sourced by quickstart.sh and test.sh: install_packages NAME... installs the Debian packages that are missing, with
# nothing but apt. When all are there it does nothing and needs no network. SQLCipher must be 4.5 or newer: where the
# machine's own distribution has only an older one (Debian 12), backports are added, from the mirror it uses already.
# shellcheck shell=bash

readonly sqlcipher_minimum=4.5
readonly backports_file=/etc/apt/sources.list.d/casevault-backports

# shellcheck disable=SC2034  # for the scripts that source this
build_packages=(
  g++ cmake ninja-build pkg-config libsodium-dev libssl-dev libsqlcipher-dev libboost-program-options-dev
  nlohmann-json3-dev libzxcvbn-dev libarchive-dev libutf8proc-dev libqrencode-dev
  libboost-dev libcurl4-openssl-dev libspdlog-dev libsystemd-dev
)

fail() {
  echo "casevault: error: $*" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "installing packages needs root: run this as root, or install sudo"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

installed_version() {
  dpkg-query -W -f '${db:Status-Abbrev} ${Version}' "$1" 2>/dev/null | sed -n 's/^ii *//p'
}

# Whether a package is installed, and new enough.
is_installed() {
  local version
  version=$(installed_version "$1")
  [[ -n $version ]] || return 1
  [[ $1 != *sqlcipher* ]] || dpkg --compare-versions "$version" ge "$sqlcipher_minimum"
}

# The newest version of SQLCipher that apt's lists offer, if it is new enough.
available_sqlcipher() {
  local version newest=
  while read -r version; do
    if dpkg --compare-versions "$version" ge "${newest:-$sqlcipher_minimum}"; then newest=$version; fi
  done < <(apt-cache madison libsqlcipher-dev | awk -F ' *\\| *' '{ print $2 }')
  echo "$newest"
}

# Writes the source entry of the distribution's main archive (its mirror, keys and options), turned to its backports.
add_backports() {
  local codename entry release file
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016  # apt's own format language
  entry=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(RELEASE) $(SOURCESENTRY)' 'Identifier: Packages' |
    awk -v codename="$codename" '$1 == codename && $2 == "main" && !found++ { print $3, $4 }')
  read -r release file <<<"$entry"
  if [[ -z $codename || -z $file ]]; then
    fail "no libsqlcipher-dev $sqlcipher_minimum or newer, and no archive of '$codename' in /etc/apt to go by"
  fi
  echo "Adding $codename-backports, for SQLCipher, from the mirror in ${file%:*}"
  if [[ $file == *.sources:* ]]; then
    backports_stanza "${file%:*}" "$release" "$codename-backports" | as_root tee "$backports_file.sources" >/dev/null
  else
    backports_line "${file%:*}" "${file##*:}" "$codename-backports" | as_root tee "$backports_file.list" >/dev/null
  fi
}

# From FILE (deb822), the first stanza with suite RELEASE, its suites replaced by BACKPORTS and its components by main.
backports_stanza() {
  awk -v release="$2" -v backports="$3" '
    function finish() { if (found && !done) { printf "%s", text; done = 1 } text = ""; found = 0; field = "" }
    /^#/ { next }
    /^[ \t]*$/ { finish(); next }
    /^[^ \t]/ { field = tolower($1) }
    field == "suites:" {
      for (i = 1; i <= NF; i++) if ($i == release || $i == release "/") found = 1
      if ($0 !~ /^[ \t]/) text = text "Suites: " backports "\n"
      next
    }
    field == "components:" { if ($0 !~ /^[ \t]/) text = text "Components: main\n"; next }
    field == "enabled:" { next }
    field == "types:" { text = text "Types: deb\n"; next }
    { text = text $0 "\n" }
    END { finish() }' "$1"
}

# Line NUMBER of FILE (one-line style), its suite replaced by BACKPORTS and its components by main.
backports_line() {
  sed -n "${2}p" "$1" | sed -E "s|^(deb +(\[[^]]*\] +)?[^ ]+) +.*|\1 $3 main|"
}

remove_backports() {
  as_root rm -f "$backports_file.sources" "$backports_file.list"
}

install_packages() {
  local package version wanted=() missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    echo "All packages are installed."
    return
  fi
  echo "Installing: ${missing[*]}"
  apt_get update
  version=$(available_sqlcipher)
  if [[ " ${missing[*]} " == *sqlcipher* && -z $version ]]; then
    add_backports
    if ! apt_get update; then
      remove_backports
      fail "the mirror in /etc/apt has no backports; install libsqlcipher-dev $sqlcipher_minimum or newer yourself"
    fi
    version=$(available_sqlcipher)
    [[ -n $version ]] || fail "backports have no libsqlcipher-dev $sqlcipher_minimum or newer"
  fi
  for package in "${missing[@]}"; do
    case $package in
      libsqlcipher-dev) wanted+=("$package=$version" "$(sqlcipher_library "$version")=$version") ;;
      sqlcipher) wanted+=("$package=$version") ;;
      *) wanted+=("$package") ;;
    esac
  done
  apt_get install --no-install-recommends "${wanted[@]}"
}

# The run-time library that the given version of libsqlcipher-dev needs, e.g. libsqlcipher1.
sqlcipher_library() {
  apt-cache show --no-all-versions "libsqlcipher-dev=$1" |
    sed -n -E 's/^Depends: .*(libsqlcipher[0-9]+[a-z0-9]*).*/\1/p'
}
