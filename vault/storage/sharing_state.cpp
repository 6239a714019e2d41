#include "vault/storage/sharing_state.h"

#include <algorithm>

#include "crypto/error.h"
#include "crypto/minisign.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxKeyText = 4096;  // a post-quantum recipient is long

template <typename List>
auto* find_active(List& contacts, std::string_view name) {
  const auto found = std::ranges::find_if(contacts, [&](const Contact& c) { return c.active() && c.name == name; });
  return found == contacts.end() ? nullptr : &*found;
}

void merge(Peer& peer, const Peer& other) {
  peer.removed.insert(other.removed.begin(), other.removed.end());
  if (peer.newest.size < other.newest.size) peer.newest = other.newest;
}

}  // namespace

/// One statement under examination.
struct SharingState::Context {
  Fields& fields;
  const Author& author;
  const std::vector<UserId>& may_hold_keys;

  void require(bool condition) const {
    if (!condition) fields.fail();
  }
  void require_owner() const { require(author.role == Role::kOwner); }
  void require_sharer() const { require(author.role != Role::kAuditor); }
  std::string key_text(const char* key) const {
    auto text = fields.text(key);
    require(!text.empty() && text.size() <= kMaxKeyText);
    return text;
  }
};

bool SharingState::knows(std::string_view kind) {
  static constexpr std::string_view kKinds[] = {"organisation", "organisation-key", "contact", "contact-remove",
                                                "share",        "receipt",          "receive", "receive-done"};
  return std::ranges::find(kKinds, kind) != std::end(kKinds);
}

void SharingState::apply(std::string_view kind, Fields& fields, const Author& author,
                         const std::vector<UserId>& may_hold_keys) {
  static const std::map<std::string, void (SharingState::*)(Context&), std::less<>> kHandlers = {
      {"organisation", &SharingState::organisation},
      {"organisation-key", &SharingState::organisation_key},
      {"contact", &SharingState::add_contact},
      {"contact-remove", &SharingState::remove_contact},
      {"share", &SharingState::share},
      {"receipt", &SharingState::receipt},
      {"receive", &SharingState::receive},
      {"receive-done", &SharingState::receive_done},
  };
  Context context{fields, author, may_hold_keys};
  (this->*kHandlers.at(std::string(kind)))(context);
}

void SharingState::organisation(Context& c) {
  c.require_owner();
  OrganisationPublicKeys keys;
  keys.age = c.key_text("age");
  keys.sign.bytes = c.fields.hex<32>("sign");
  c.require(std::ranges::find(own_keys_, keys) == own_keys_.end());
  std::map<UserId, Sha256Digest> sealed;
  for (const auto& item : c.fields.any("keys")) {
    Fields entry(item, "the organisation's keys");
    const auto user = entry.hex<16>("user");
    const auto hash = entry.hex<32>("key");
    entry.end();
    c.require(std::ranges::find(c.may_hold_keys, user) != c.may_hold_keys.end());
    c.require(sealed.emplace(user, hash).second);
  }
  c.require(sealed.size() == c.may_hold_keys.size());
  own_keys_.push_back(keys);
  sealed_keys_ = std::move(sealed);
}

void SharingState::organisation_key(Context& c) {
  c.require_owner();
  const auto user = c.fields.hex<16>("user");
  const auto hash = c.fields.hex<32>("key");
  c.require(std::ranges::find(c.may_hold_keys, user) != c.may_hold_keys.end());
  c.require(sealed_keys_.emplace(user, hash).second);
}

void SharingState::add_contact(Context& c) {
  c.require_sharer();
  Contact contact;
  contact.name = c.fields.text("name");
  contact.age = c.key_text("age");
  contact.sign = c.key_text("sign");
  contact.verified_by = c.author.id;
  contact.since_ms = c.author.time_ms;
  MinisignPublicKey::parse(contact.sign);  // throws for what is none
  c.require(is_valid_user_name(contact.name) && find_contact(contact.name) == nullptr &&
            find_contact_by_sign(contact.sign) == nullptr);
  contacts_.push_back(std::move(contact));
}

Contact& SharingState::contact_of(Context& c) {
  auto* contact = find_active(contacts_, c.fields.text("contact"));
  c.require(contact != nullptr);
  return *contact;
}

void SharingState::remove_contact(Context& c) {
  c.require_sharer();
  auto& contact = contact_of(c);
  contact.removed_by = c.author.id;
  contact.removed_ms = std::max<std::int64_t>(c.author.time_ms, 1);
}

void SharingState::share(Context& c) {
  c.require_sharer();
  SharedBundle bundle{.contacts = {}, .by = c.author.id, .time_ms = c.author.time_ms, .receipts = {}};
  const auto id = c.fields.hex<32>("bundle");
  for (const auto& name : c.fields.any("contacts")) {
    c.require(name.is_string() && find_contact(name.get<std::string>()) != nullptr);
    bundle.contacts.push_back(name.get<std::string>());
  }
  c.require(!bundle.contacts.empty() && shared_.emplace(id, std::move(bundle)).second);
}

void SharingState::receipt(Context& c) {
  c.require_sharer();
  const auto found = shared_.find(c.fields.hex<32>("bundle"));
  const auto contact = c.fields.text("contact");
  const auto hash = c.fields.hex<32>("receipt");
  c.require(found != shared_.end());
  auto& bundle = found->second;
  c.require(std::ranges::find(bundle.contacts, contact) != bundle.contacts.end());
  c.require(bundle.receipts.emplace(contact, hash).second);
}

void SharingState::receive(Context& c) {
  c.require_sharer();
  auto& contact = contact_of(c);
  ReceivedBundle bundle{.contact = contact.name, .by = c.author.id, .time_ms = c.author.time_ms, .cases = {}};
  const auto id = c.fields.hex<32>("bundle");
  for (const auto& item : c.fields.any("cases")) {
    Fields entry(item, "a received bundle");
    const auto from = entry.text("from");
    c.require(bundle.cases.emplace(from, entry.hex<16>("case")).second);
    entry.end();
  }
  const auto& peer = c.fields.any("peer");
  if (!peer.is_null()) learn_peer(contact, peer);
  c.require(received_.emplace(id, std::move(bundle)).second);
}

void SharingState::learn_peer(Contact& contact, const nlohmann::json& peer) {
  Fields fields(peer, "a received bundle");
  Peer next{.vault = fields.hex<16>("vault"), .root = {fields.hex<32>("root")}, .newest = {}, .removed = {}};
  next.newest = {fields.count("log_size"), fields.hex<32>("log_root")};
  for (const auto& item : fields.any("removed")) {
    Fields removal(item, "a received bundle");
    const auto user = removal.hex<16>("user");
    next.removed.emplace(user, removal.count("log_size"));
    removal.end();
  }
  fields.end();
  if (contact.peer && contact.peer->vault != next.vault) fields.fail();
  if (const auto known = find_peer(next.vault)) {
    if (known->root != next.root) fields.fail();
    merge(next, *known);
  }
  contact.peer = std::move(next);
}

void SharingState::receive_done(Context& c) {
  c.require_sharer();
  const auto found = received_.find(c.fields.hex<32>("bundle"));
  c.require(found != received_.end() && !found->second.whole);
  found->second.whole = true;
}

std::optional<Peer> SharingState::find_peer(const VaultId& vault) const {
  std::optional<Peer> known;
  for (const auto& contact : contacts_) {
    if (!contact.peer || contact.peer->vault != vault) continue;
    known ? merge(*known, *contact.peer) : void(known = contact.peer);
  }
  return known;
}

std::optional<Sha256Digest> SharingState::sealed_keys_of(const UserId& user) const {
  const auto found = sealed_keys_.find(user);
  return found == sealed_keys_.end() ? std::nullopt : std::optional(found->second);
}

const Contact* SharingState::find_contact(std::string_view name) const { return find_active(contacts_, name); }

const Contact* SharingState::find_contact_by_sign(std::string_view minisign_key) const {
  const auto found =
      std::ranges::find_if(contacts_, [&](const Contact& c) { return c.active() && c.sign == minisign_key; });
  return found == contacts_.end() ? nullptr : &*found;
}

}  // namespace casevault
