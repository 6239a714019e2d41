#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "crypto/kdf.h"

namespace casevault {

/// What the vault takes from outside besides the disk, so that tests run the same library.
struct Environment {
  std::function<std::int64_t()> now_ms;  ///< Unix milliseconds, UTC; may jump, is never used for order
  std::function<bool()> interrupted;     ///< true once Ctrl-C was pressed; long work stops at the next whole step
  std::string device;                    ///< this machine's name, for the audit log
  Argon2Cost new_vault_cost;             ///< what `init` writes into a new vault
  Argon2Cost cost_floor;                 ///< a vault that asks for less is refused before anything is run
  std::filesystem::path state_folder;    ///< where this machine keeps what belongs to it and to no vault
  std::string proxy;                     ///< host:port of a SOCKS5 proxy for custodians; empty: none
  bool accepts_older = false;            ///< opens also a vault that is not as its custodians have witnessed it
};

/// @throws Error{kInterrupted} once the user asked to stop.
void stop_if_interrupted(const Environment& environment);

}  // namespace casevault
