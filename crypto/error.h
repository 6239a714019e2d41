#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace casevault {

/// Why an operation failed. Closed: each value has one documented exit status (docs/cli.md), given beside it.
enum class Errc {
  kInternal = 1,            ///< a bug, or the machine failed us (no randomness, no memory)
  kUsage = 2,               ///< the request itself cannot be carried out as written
  kPartial = 3,             ///< some of it was done, the rest was named
  kNoVault = 10,            ///< no vault here, or one of a newer format
  kBusy = 11,               ///< another process holds it
  kWrongPassphrase = 12,    ///< wrong passphrase or user
  kNotAllowed = 13,         ///< the user's role or right does not cover it
  kNotFound = 14,           ///< no such case, record, user, contact
  kDamaged = 15,            ///< damaged or forged data; the message names the object
  kAuditUnavailable = 16,   ///< the audit log cannot be written, so access is refused
  kCustodiansRefused = 17,  ///< locked, burned or too many tries; the message says which
  kTooFewCustodians = 18,   ///< fewer custodians than the threshold could be reached
  kDestroyed = 19,          ///< this vault was destroyed by an order
  kNoSpace = 20,            ///< no space left on the device
  kInterrupted = 130,       ///< Ctrl-C
};

/// The one exception type. `what()` is lower case, names the object, carries no secret; `hint()` is the next command
/// to type, or empty.
class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}
  Errc code() const noexcept { return code_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  Errc code_;
  std::string hint_;
};

/// For preconditions and for library calls that cannot fail on a sound machine. @throws Error{kInternal}
inline void require(bool holds, const char* what) {
  if (!holds) throw Error(Errc::kInternal, what);
}

}  // namespace casevault
