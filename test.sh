#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all tests: test.sh [--sanitizers]
# With --sanitizers, the whole suite runs first in a build with AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/support/install-packages.sh
. tests/support/install-packages.sh

presets=(release)
case ${1:-} in
  '') ;;
  --sanitizers) presets=(dev release) ;;
  *) echo "usage: test.sh [--sanitizers]" >&2 && exit 2 ;;
esac

install_packages "${build_packages[@]}" libgtest-dev libgmock-dev libbenchmark-dev zlib1g-dev age minisign restic hyperfine \
  strace sqlcipher python3 python3-nacl python3-cryptography chromium chromium-driver dbus rclone

for preset in "${presets[@]}"; do
  cmake --preset "$preset" -DCASEVAULT_TESTS=ON
  cmake --build --preset "$preset" -j "$(nproc)"
  ctest --preset "$preset" -j "$(nproc)"
done
