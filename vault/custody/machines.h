#pragma once
#include <optional>
#include <string>
#include <vector>

#include "vault/custody/wire.h"
#include "vault/vault.h"

namespace casevault {

// Machines that custodians answer. Each has a key of its own, made on it (device.h).

/// This machine's request to be let in, one line without spaces: `casevault-device:1/VAULT/NAME/KEY`. Makes its key.
/// @throws Error{kUsage} for a name that is none, or another than that of the key there is.
std::string device_request(const Vault& vault, const std::optional<std::string>& name);

/// Tells the custodians of a machine's request. For owners. Logged. Returns the machine's name.
/// @throws Error: kUsage (not a request, or another vault's), kTooFewCustodians, kCustodiansRefused (also: the name is
/// another machine's).
std::string enrol_machine(Session& session, const std::string& request);

/// This machine by the custodians' own invitations, where no other is left. At least the threshold of them. Returns its
/// name. @throws also as device_request.
std::string enrol_this_machine(const Vault& vault, const std::vector<Invitation>& invitations,
                               const std::optional<std::string>& name);

}  // namespace casevault
