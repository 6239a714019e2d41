#pragma once
#include <cstdint>
#include <string>

#include "cli/command.h"
#include "vault/records/record.h"
#include "vault/vault.h"

namespace casevault {

/// The vault of this call, unlocked with the user's passphrase, or with what a guard keeps; prints the session's
/// warnings, those that came later when it ends.
class OpenVault {
 public:
  explicit OpenVault(Invocation& call);
  OpenVault(Invocation& call, Vault vault);
  OpenVault(const OpenVault&) = delete;
  OpenVault& operator=(const OpenVault&) = delete;
  ~OpenVault();
  Session& session() { return session_; }

 private:
  void report_warnings();
  Output& output_;
  Session session_;
  std::size_t reported_ = 0;
};

/// The names of cases and records as people write them, checked before any passphrase is asked. @throws Error{kUsage}
std::int64_t case_argument(const std::string& text);
ObjectName record_argument(const std::string& text);
ObjectName object_argument(const std::string& text);  // either

std::string case_name(std::int64_t number);  // "C-1"

}  // namespace casevault
