#pragma once
#include <optional>

#include "vault/environment.h"
#include "vault/replica/manifest.h"

namespace casevault {

/// What this machine remembers of a vault's newest snapshot, so that an older one is not taken for it.
struct KnownSnapshot {
  std::uint64_t number = 0;
  std::uint64_t log_size = 0;
  std::int64_t time_ms = 0;
};

/// nullopt when there is none, or it cannot be read: it may only ever add a refusal.
std::optional<KnownSnapshot> known_snapshot(const Environment& environment, const VaultId& vault);
/// Keeps the newer of what is there and this; `even_if_older`: this. Does nothing where this machine has no place for
/// it.
void remember_snapshot(const Environment& environment, const Manifest& manifest, bool even_if_older = false);

}  // namespace casevault
