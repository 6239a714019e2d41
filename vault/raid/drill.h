#pragma once
#include <chrono>
#include <vector>

#include "vault/raid/wipe.h"

namespace casevault {

struct DrillResult {
  /// From the order until the process that held a key had ended.
  std::chrono::microseconds keys_out_of_memory{};
  std::vector<DestroyReceipt> stages;
  std::size_t files = 0;  // that stood in for the vault's
  bool left_nothing = false;
};

/// Destroys a stand-in for the vault, by the code that would destroy the vault, and removes what is left of it. The
/// stand-in is made beside the vault, so on the same disk: as many files, of the same sizes, random where they would be
/// overwritten and empty (sparse) where they would only be unlinked. Nothing is copied from the vault, and nothing in
/// it is touched: a second copy of `slots` would be one more to destroy. A process with a random key stands in for the
/// keeper. @throws Error: kNoVault, kNotAllowed when nothing can be made beside the vault, kNoSpace.
DrillResult rehearse_destroying(const Path& folder, const Environment& environment);

}  // namespace casevault
