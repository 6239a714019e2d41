#include "cli/session.h"

#include "cli/passphrase.h"

namespace casevault {
namespace {

/// An Error of --passphrase-file or the terminal comes before the Argon2id run and before anything is logged.
Session unlock(Invocation& call, Vault vault) {
  const std::string user = call.user();
  const SlotAccess* unlocked = call.process().unlocked;
  if (unlocked && unlocked->user == user) {
    auto access = unlocked->clone();
    return vault.unlock(access);
  }
  const SecretBytes passphrase = current_passphrase(call, "Passphrase of " + user);
  return vault.unlock(user, passphrase);
}

}  // namespace

OpenVault::OpenVault(Invocation& call)
    : OpenVault(call, Vault::open(call.vault_folder(), call.process().environment)) {}

OpenVault::OpenVault(Invocation& call, Vault vault) : output_(call.out()), session_(unlock(call, std::move(vault))) {
  report_warnings();
}

OpenVault::~OpenVault() { report_warnings(); }

void OpenVault::report_warnings() {
  const auto& warnings = session_.warnings();
  for (; reported_ < warnings.size(); ++reported_) output_.warning(warnings[reported_]);
}

std::int64_t case_argument(const std::string& text) {
  const auto name = parse_object_name(text);
  if (!name || name->record)
    throw Error(Errc::kUsage, "'" + text + "' is not the name of a case; they look like C-1", "casevault case list");
  return name->case_number;
}

ObjectName record_argument(const std::string& text) {
  const auto name = parse_object_name(text);
  if (!name || !name->record) {
    throw Error(Errc::kUsage, "'" + text + "' is not the name of a record; they look like C-1/E-3 or C-1/T-2",
                name ? "casevault list " + text : "casevault case list");
  }
  return *name;
}

ObjectName object_argument(const std::string& text) {
  const auto name = parse_object_name(text);
  if (!name) {
    throw Error(Errc::kUsage,
                "'" + text + "' is not the name of a case or record; they look like C-1, C-1/E-3 or C-1/T-2",
                "casevault case list");
  }
  return *name;
}

std::string case_name(std::int64_t number) { return to_string(ObjectName{number, std::nullopt}); }

}  // namespace casevault
