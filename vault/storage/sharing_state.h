#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/merkle.h"
#include "crypto/sign.h"
#include "vault/access/identity.h"

namespace casevault {

class Fields;

/// A state of an audit log that a signed statement was made after.
struct LogCite {
  std::uint64_t size = 0;  // entries
  TreeHash root{};
};

/// SHA-256 of a bundle's tagmanifest-sha256.txt, which covers everything in it.
using BundleId = Sha256Digest;

/// What partners know of an organisation: its age recipient (X25519) and its minisign key (Ed25519).
struct OrganisationPublicKeys {
  std::string age;  // recipient, "age1…"
  VerifyKey sign;
  bool operator==(const OrganisationPublicKeys&) const = default;
};

/// A partner's vault as their bundles have shown it so far.
struct Peer {
  VaultId vault{};
  VerifyKey root;
  LogCite newest;                           // of the bundles received
  std::map<UserId, std::uint64_t> removed;  // their users who were removed, with the log size that the removal cites
};

/// A partner organisation whose keys somebody here has checked.
struct Contact {
  std::string name;
  std::string age;   // recipient, "age1…"
  std::string sign;  // minisign public key, "RW…"
  UserId verified_by{};
  std::int64_t since_ms = 0;
  UserId removed_by{};
  std::int64_t removed_ms = 0;  // 0: still a contact
  std::optional<Peer> peer;     // none before the first bundle, or where they use stock tools
  bool active() const { return removed_ms == 0; }
};

struct SharedBundle {
  std::vector<std::string> contacts;
  UserId by{};
  std::int64_t time_ms = 0;
  std::map<std::string, Sha256Digest> receipts;  // contact → hash of the receipt
};

struct ReceivedBundle {
  std::string contact;
  UserId by{};
  std::int64_t time_ms = 0;
  std::map<std::string, CaseId> cases;  // the sender's "C-1" → the case that its records go to
  bool whole = false;                   // all of it is there; false after an interruption
};

/// What the catalogue's chain says about sharing: the organisation's own keys, contacts, bundles that went out and came
/// in. Part of CatalogState, which checks signatures and order (docs/format.md section 7).
class SharingState {
 public:
  struct Author {
    UserId id{};
    Role role = Role::kMember;
    std::int64_t time_ms = 0;
  };
  static bool knows(std::string_view kind);
  /// Takes the statement's own fields. `may_hold_keys`: active owners and members. @throws Error{kDamaged} when the
  /// author could not do this at this point.
  void apply(std::string_view kind, Fields& fields, const Author& author, const std::vector<UserId>& may_hold_keys);
  void forget_keys_of(const UserId& user) { sealed_keys_.erase(user); }

  /// Newest last; never empty in a vault.
  const std::vector<OrganisationPublicKeys>& own_keys() const { return own_keys_; }
  /// Hash of the organisation's secret keys sealed to this user; nullopt for auditors and removed users.
  std::optional<Sha256Digest> sealed_keys_of(const UserId& user) const;
  /// Also removed ones, in the order in which they were added.
  const std::vector<Contact>& contacts() const { return contacts_; }
  /// Only active ones; nullptr when there is none.
  const Contact* find_contact(std::string_view name) const;
  const Contact* find_contact_by_sign(std::string_view minisign_key) const;
  /// What is known of a partner's vault from all contacts that it was, removed ones too.
  std::optional<Peer> find_peer(const VaultId& vault) const;
  const std::map<BundleId, SharedBundle>& shared() const { return shared_; }
  const std::map<BundleId, ReceivedBundle>& received() const { return received_; }

 private:
  struct Context;
  void organisation(Context& c);
  void organisation_key(Context& c);
  void add_contact(Context& c);
  void remove_contact(Context& c);
  void share(Context& c);
  void receipt(Context& c);
  void receive(Context& c);
  void receive_done(Context& c);
  void learn_peer(Contact& contact, const nlohmann::json& peer);
  Contact& contact_of(Context& c);

  std::vector<OrganisationPublicKeys> own_keys_;
  std::map<UserId, Sha256Digest> sealed_keys_;
  std::vector<Contact> contacts_;
  std::map<BundleId, SharedBundle> shared_;
  std::map<BundleId, ReceivedBundle> received_;
};

}  // namespace casevault
