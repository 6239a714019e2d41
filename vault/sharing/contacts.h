#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "vault/storage/file.h"
#include "vault/vault.h"

namespace casevault {

/// New keys for the organisation, the old ones kept for opening. For owners: after somebody who knew them was removed.
void renew_organisation_keys(Session& session);

/// What a partner types to add us, and what is read aloud to make sure that it is ours.
struct ContactCard {
  std::string organisation;
  std::string age;          // recipient, "age1…"
  std::string sign;         // minisign public key, "RW…"
  std::string fingerprint;  // eight words
  std::string log_key;      // verifies our checkpoints (a C2SP verifier key)
};

/// Owners and members. Logged.
ContactCard own_card(Session& session);

struct ContactView {
  std::string name;
  std::string age;
  std::string sign;
  std::string fingerprint;
  std::string verified_by;  // user name
  std::int64_t since_ms = 0;
  std::string removed_by;  // empty: still a contact
  std::int64_t removed_ms = 0;
  std::string organisation_root;  // fingerprint of their vault's root key; empty before their first bundle
  std::size_t shared = 0;         // bundles that went to them
  std::size_t receipts = 0;       // of these, with a receipt
  std::size_t received = 0;       // bundles that came from them
};

/// Everybody in the vault may see them; removed ones too. Logged.
std::vector<ContactView> list_contacts(Session& session);

/// Pins a partner's keys, signed by the user: they must have compared the fingerprint before. Owners and members.
/// Returns the fingerprint.
/// @throws Error{kUsage} for keys that are none, for keys that are ours, and for a name or key that is a contact
/// already.
std::string add_contact(Session& session, const std::string& name, const std::string& age, const std::string& sign);

/// Owners and members. @throws Error{kNotFound}
void remove_contact(Session& session, const std::string& name);

/// The fingerprint of keys that somebody was given, for comparing before add_contact. @throws Error{kUsage} for keys
/// that are none.
std::string fingerprint_of_keys(const std::string& age, const std::string& sign);

struct FiledReceipt {
  std::string contact;
  std::string bundle;  // hex
  std::int64_t received_ms = 0;
  std::uint64_t records = 0;
};
/// Checks a receipt that a partner sent back, and keeps it. Owners and members.
/// @throws Error: kDamaged when it is none, or not signed by a contact that the bundle was shared with; kNotFound when
/// we shared no such bundle.
FiledReceipt file_receipt(Session& session, const Path& file);

}  // namespace casevault
