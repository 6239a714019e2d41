#include "vault/storage/catalog_state.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "vault/storage/catalog_context.h"
#include "vault/storage/slots.h"

namespace casevault {

UserKeys user_from_json(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  UserKeys keys;
  keys.id = fields.hex<16>("id");
  keys.name = fields.text("name");
  keys.sign.bytes = fields.hex<32>("sign");
  keys.box.bytes = fields.hex<32>("box");
  fields.end();
  if (!is_valid_user_name(keys.name)) fields.fail();
  return keys;
}

nlohmann::json user_to_json(const UserKeys& keys) {
  return {
      {"id", to_hex(keys.id)}, {"name", keys.name}, {"sign", to_hex(keys.sign.bytes)}, {"box", to_hex(keys.box.bytes)}};
}

Bytes root_certificate_message(const VaultId& vault, const UserKeys& keys) {
  return concat({vault, as_bytes(user_to_json(keys).dump())});
}

void CatalogState::apply(const Change& change, bool check_signature) {
  Context context(change);
  context.require(context.cite.size >= last_cite_.size, "it cites an older audit log than the change before it");
  if (context.kind == "found") {
    found(context);
  } else if (context.kind == "recover") {
    context.require(!removal_open_, "a removal is not followed by a new key");
    recover(context);
  } else {
    const auto* author = find_user(context.by);
    context.require(author != nullptr && author->active, "its author is not a user of the vault at that point");
    context.require(!removal_open_ || context.kind == "epoch", "a removal is not followed by a new key");
    static const std::map<std::string, void (CatalogState::*)(Context&), std::less<>> kHandlers = {
        {"user", &CatalogState::add_user},
        {"remove", &CatalogState::remove_user},
        {"slot", &CatalogState::move_slot},
        {"epoch", &CatalogState::new_epoch},
        {"case", &CatalogState::new_case},
        {"case-epoch", &CatalogState::new_case_epoch},
        {"grant", &CatalogState::grant},
        {"case-head", &CatalogState::case_head},
        {"close", &CatalogState::close},
        {"custody", &CatalogState::custody},
        {"slot-spare", &CatalogState::keep_slot},
        {"recovery", &CatalogState::recovery},
        {"rehearsal", &CatalogState::rehearsal},
        {"recovery-keys", &CatalogState::recovery_keys},
        {"recovery-case", &CatalogState::recovery_case},
    };
    const bool is_sharing = SharingState::knows(context.kind);
    const auto handler = kHandlers.find(context.kind);
    context.require(is_sharing || handler != kHandlers.end(), "its kind is unknown");
    // Checked before the handler changes anything; users keep their keys for ever, so the author's are still the right
    // ones.
    if (check_signature) {
      context.require(verify_change(vault_, change, author->keys.sign), "its signature is not its author's");
    }
    is_sharing ? sharing(context) : (this->*handler->second)(context);
  }
  context.fields.end();
  head_ = change.head();
  last_cite_ = context.cite;
}

void CatalogState::found(Context& c) {
  c.require(c.change.number == 1, "a second foundation");
  User user;
  user.keys = user_from_json(c.fields.any("user"), c.what);
  const auto certificate = from_base64(c.fields.text("certificate"));
  c.require(certificate && certificate->size() == 64, "the root certificate is malformed");
  c.require(
      verify(root_, kRootCertificateDomain, root_certificate_message(vault_, user.keys), to_array<64>(*certificate)),
      "the first owner is not certified by the root key");
  c.require(c.by == user.keys.id && verify_change(vault_, c.change, user.keys.sign),
            "its signature is not its author's");
  organisation_ = c.fields.text("organisation");
  header_hash_ = c.fields.hex<32>("header");
  handover_hash_ = c.fields.hex<32>("handover");
  user.role = Role::kOwner;
  user.role_keys = c.fields.hex<32>("role_keys");
  user.approved_by = c.by;
  user.since_ms = c.time_ms;
  take_slot(c, user);
  epoch_ = 1;
  users_.emplace(user.keys.id, std::move(user));
}

void CatalogState::take_slot(Context& c, User& user) {
  const auto slot = c.fields.count("slot");
  const auto generation = c.fields.count("generation");
  c.require(slot < kSlotCount && !slot_is_taken(slot), "the slot is taken");
  c.require(generation > user.generation && generation <= UINT32_MAX, "the slot's generation does not grow");
  user.slot = slot;
  user.generation = static_cast<std::uint32_t>(generation);
  user.slot_hash = c.fields.hex<32>("slot_hash");
}

bool CatalogState::slot_is_taken(std::size_t slot) const {
  return std::ranges::any_of(users_, [&](const auto& entry) {
    const User& user = entry.second;
    return user.active && (user.slot == slot || user.spare_slot == slot);
  });
}

void CatalogState::add_user(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner, "only owners let users in");
  User user;
  user.keys = user_from_json(c.fields.any("user"), c.what);
  const auto role = parse_role(c.fields.text("role"));
  c.require(role.has_value(), "the role is unknown");
  c.require(!find_user(user.keys.id) && !find_user(user.keys.name), "the name or id is taken");
  user.role = *role;
  const auto role_keys = c.fields.text("role_keys");
  if (user.role != Role::kMember) user.role_keys = array_from_hex<32>(role_keys);
  c.require((user.role == Role::kMember) ? role_keys.empty() : user.role_keys.has_value(),
            "its role keys are malformed");
  user.approved_by = c.by;
  user.since_ms = c.time_ms;
  handover_hash_ = c.fields.hex<32>("handover");
  take_slot(c, user);
  users_.emplace(user.keys.id, std::move(user));
}

void CatalogState::remove_user(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner, "only owners remove users");
  const auto id = c.fields.hex<16>("user");
  const auto found = users_.find(id);
  c.require(found != users_.end() && found->second.active && id != c.by, "there is no such user to remove");
  found->second.active = false;
  found->second.removed_ms = c.time_ms;
  found->second.removed_log_size = c.cite.size;
  former_slots_.push_back(found->second.slot_hash);
  if (found->second.spare_slot) former_slots_.push_back(found->second.spare_hash);
  sharing_.forget_keys_of(id);
  removal_open_ = true;
}

void CatalogState::move_slot(Context& c) {
  auto& user = users_.at(c.by);
  former_slots_.push_back(user.slot_hash);
  take_slot(c, user);
  user.slot_custody = 0;
  if (!c.statement.contains("custody")) return;
  user.slot_custody = static_cast<std::uint32_t>(c.fields.count("custody"));
  c.require(user.slot_custody > 0 && user.slot_custody <= custody_epoch_, "its custody epoch is unknown");
}

/// A second slot of one's own, or none; the one before is given up.
void CatalogState::keep_slot(Context& c) {
  auto& user = users_.at(c.by);
  if (!c.statement.contains("slot")) {
    c.require(user.spare_slot.has_value(), "there is no second slot to give up");
    former_slots_.push_back(user.spare_hash);
    user.spare_slot.reset();
    return;
  }
  const auto slot = c.fields.count("slot");
  c.require(slot < kSlotCount && !slot_is_taken(slot), "the slot is taken");
  if (user.spare_slot) former_slots_.push_back(user.spare_hash);
  user.spare_slot = slot;
  user.spare_hash = c.fields.hex<32>("slot_hash");
}

/// 0 ends custody; the one in force again where only former ones were dropped.
void CatalogState::custody(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner, "only owners change the custody");
  const auto epoch = c.fields.count("epoch");
  c.require(epoch <= INT32_MAX && (epoch == 0 || epoch == custody_epoch_ || epoch > newest_custody_epoch_),
            "the custody epoch does not follow");
  custody_epoch_ = static_cast<std::uint32_t>(epoch);
  newest_custody_epoch_ = std::max(newest_custody_epoch_, custody_epoch_);
  header_hash_ = c.fields.hex<32>("header");
}

void CatalogState::new_epoch(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner, "only owners rotate the catalogue key");
  c.require(c.fields.count("epoch") == epoch_ + 1, "the epoch does not follow");
  ++epoch_;
  const auto header = c.fields.hex<32>("header");
  const bool header_changed = header != header_hash_;
  header_hash_ = header;
  removal_open_ = false;
  handover_hash_ = c.fields.hex<32>("handover");
  handover_custody_ = 0;
  if (c.statement.contains("custody")) {
    handover_custody_ = static_cast<std::uint32_t>(c.fields.count("custody"));
    c.require(handover_custody_ > 0 && handover_custody_ == custody_epoch_, "its custody is not the one in force");
  }
  check_role_keys(c, header_changed);
  if (recovery_ && header_changed) recovery_->keys_current = false;
}

/// Where the audit key changed, everyone who reads the log gets the new one; otherwise nobody.
void CatalogState::check_role_keys(Context& c, bool header_changed) {
  std::size_t given = 0;
  for (const auto& entry : c.fields.any("role_keys")) {
    Fields fields(entry, c.what);
    const auto user = users_.find(fields.hex<16>("user"));
    const auto hash = fields.hex<32>("key");
    fields.end();
    c.require(user != users_.end() && user->second.active && user->second.role != Role::kMember,
              "role keys for nobody");
    user->second.role_keys = hash;
    ++given;
  }
  const auto readers = std::ranges::count_if(
      users_, [](const auto& entry) { return entry.second.active && entry.second.role != Role::kMember; });
  c.require(given == (header_changed ? static_cast<std::size_t>(readers) : 0), "role keys are missing, or too many");
}

void CatalogState::new_case(Context& c) {
  c.require(find_user(c.by)->role != Role::kAuditor, "auditors make no cases");
  CaseEntry entry;
  entry.id = c.fields.hex<16>("case");
  entry.number = static_cast<std::int64_t>(c.fields.count("number"));
  c.require(entry.number == static_cast<std::int64_t>(cases_.size()) + 1 && !find_case(entry.id),
            "the number does not follow");
  entry.creator = c.by;
  entry.created_ms = c.time_ms;
  cases_.emplace(entry.number, std::move(entry));
}

CaseEntry& CatalogState::case_of(Context& c) {
  const auto id = c.fields.hex<16>("case");
  const auto* entry = find_case(id);
  c.require(entry != nullptr, "there is no such case");
  return cases_.at(entry->number);
}

void CatalogState::new_case_epoch(Context& c) {
  auto& entry = case_of(c);
  const auto epoch = entry.epoch + 1;
  if (entry.epoch > 0) entry.epoch_ends[entry.epoch] = c.cite.size;
  c.require(c.fields.count("epoch") == epoch, "the epoch does not follow");
  const auto* own = grant_of(entry, c.by);
  c.require(epoch == 1 ? entry.creator == c.by : (own != nullptr && own->right >= Right::kAdd),
            "its author may not add");
  const bool manages = epoch > 1 && own->right == Right::kManage;
  entry.title = c.fields.hex<32>("title");
  entry.custody_epoch = 0;
  entry.share.reset();
  if (custody_epoch_ > 0) {
    entry.custody_epoch = static_cast<std::uint32_t>(c.fields.count("custody"));
    entry.share = parse_element(c.fields.hex<32>("share"));
    c.require(entry.custody_epoch == custody_epoch_ && entry.share, "it is not under custody as the vault is");
  }

  std::vector<Grant> grants;
  for (const auto& item : c.fields.any("grants")) {
    Fields fields(item, c.what);
    Grant grant{fields.hex<16>("user"), Right::kRead, epoch, c.by, c.time_ms, c.cite.size, {}};
    const auto right = parse_right(fields.text("right"));
    grant.sealed_key = fields.hex<32>("key");
    fields.end();
    c.require(right.has_value(), "the right is unknown");
    grant.right = *right;
    c.require(std::ranges::none_of(grants, [&](const Grant& g) { return g.user == grant.user; }),
              "a user stands in it twice");
    const auto* before = grant_of(entry, grant.user);
    c.require(epoch == 1 ? grant.user == c.by && grant.right == Right::kManage
                         : (before != nullptr && grant.right <= before->right),
              "it gives more than there was before");
    grants.push_back(grant);
  }
  const auto kept_whole = [&](const Grant& before) {
    return std::ranges::any_of(grants,
                               [&](const Grant& g) { return g.user == before.user && g.right == before.right; });
  };
  for (const auto& [id, user] : users_) {
    const auto* before = grant_of(entry, id);
    if (before != nullptr)
      c.require(manages || kept_whole(*before), "it takes away a right without the right to manage");
  }
  c.require(!grants.empty(), "nobody could open the case any more");
  entry.epoch = epoch;
  entry.epoch_change = c.change.number;
  entry.recovery_key.reset();
  entry.opens_for_former_set = false;
  entry.grants.insert(entry.grants.end(), grants.begin(), grants.end());
}

void CatalogState::grant(Context& c) {
  auto& entry = case_of(c);
  const auto* own = grant_of(entry, c.by);
  c.require(own != nullptr && own->right == Right::kManage, "its author may not manage the case");
  c.require(c.fields.count("epoch") == entry.epoch, "it is for another epoch");
  Grant grant{c.fields.hex<16>("user"), Right::kRead, entry.epoch, c.by, c.time_ms, c.cite.size, {}};
  const auto right = parse_right(c.fields.text("right"));
  grant.sealed_key = c.fields.hex<32>("key");
  const auto* user = find_user(grant.user);
  c.require(right && user != nullptr && user->active, "there is no such user or right");
  grant.right = *right;
  entry.grants.push_back(grant);
}

void CatalogState::case_head(Context& c) {
  auto& entry = case_of(c);
  c.require(c.fields.count("epoch") == entry.epoch, "it is for another epoch");
  const auto* own = grant_of(entry, c.by);
  c.require(own != nullptr && own->right >= Right::kAdd, "its author may not add to the case");
  const ChainHead head{c.fields.count("count"), c.fields.hex<32>("hash")};
  c.require(head.count > entry.head.count || head == entry.head, "the case's chain does not grow");
  c.require(head == entry.head || !needs_rotation(entry), "somebody of before still knew the case's key");
  entry.head = head;
  entry.head_log_size = c.cite.size;
}

void CatalogState::close(Context& c) {
  auto& entry = case_of(c);
  const auto* own = grant_of(entry, c.by);
  c.require(own != nullptr && own->right == Right::kManage && !entry.closed, "its author may not close the case");
  entry.closed = true;
  entry.closed_log_size = c.cite.size;
}

void CatalogState::sharing(Context& c) {
  std::vector<UserId> may_hold_keys;
  for (const auto* user : active_users()) {
    if (user->role != Role::kAuditor) may_hold_keys.push_back(user->keys.id);
  }
  sharing_.apply(c.kind, c.fields, {c.by, find_user(c.by)->role, c.time_ms}, may_hold_keys);
  if (recovery_ && c.kind == "organisation") recovery_->keys_current = false;
}

const User* CatalogState::find_user(const UserId& id) const {
  const auto found = users_.find(id);
  return found == users_.end() ? nullptr : &found->second;
}

const User* CatalogState::find_user(std::string_view name) const {
  const auto found = std::ranges::find_if(
      users_, [&](const auto& entry) { return entry.second.active && entry.second.keys.name == name; });
  return found == users_.end() ? nullptr : &found->second;
}

const CaseEntry* CatalogState::find_case(std::int64_t number) const {
  const auto found = cases_.find(number);
  return found == cases_.end() ? nullptr : &found->second;
}

const CaseEntry* CatalogState::find_case(const CaseId& id) const {
  const auto found = std::ranges::find_if(cases_, [&](const auto& entry) { return entry.second.id == id; });
  return found == cases_.end() ? nullptr : &found->second;
}

std::vector<const User*> CatalogState::active_users() const {
  std::vector<const User*> active;
  for (const auto& [id, user] : users_) {
    if (user.active) active.push_back(&user);
  }
  return active;
}

std::optional<std::size_t> CatalogState::free_slot(std::uint64_t random) const {
  std::vector<std::size_t> free;
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) {
    if (!slot_is_taken(slot)) free.push_back(slot);
  }
  if (free.empty()) return std::nullopt;
  return free[random % free.size()];
}

const Grant* CatalogState::grant_of(const CaseEntry& entry, const UserId& id) const {
  const auto* user = find_user(id);
  if (user == nullptr || !user->active) return nullptr;
  const auto found = std::find_if(entry.grants.rbegin(), entry.grants.rend(),
                                  [&](const Grant& g) { return g.epoch == entry.epoch && g.user == id; });
  return found == entry.grants.rend() ? nullptr : &*found;
}

std::optional<Right> CatalogState::right_at(const CaseEntry& entry, std::uint32_t epoch, const UserId& user,
                                            std::uint64_t log_size) const {
  const auto found = std::find_if(entry.grants.rbegin(), entry.grants.rend(), [&](const Grant& g) {
    return g.epoch == epoch && g.user == user && g.log_size <= log_size;
  });
  if (found == entry.grants.rend()) return std::nullopt;
  const auto end = entry.epoch_ends.find(epoch);
  const auto* who = find_user(user);
  const bool epoch_over = end != entry.epoch_ends.end() && log_size >= end->second;
  const bool user_gone = who == nullptr || (!who->active && log_size >= who->removed_log_size);
  if (epoch_over || user_gone) return std::nullopt;
  return found->right;
}

bool CatalogState::needs_rotation(const CaseEntry& entry) const {
  if (entry.custody_epoch != custody_epoch_ || entry.opens_for_former_set) return true;
  return std::ranges::any_of(entry.grants, [&](const Grant& g) {
    const auto* user = find_user(g.user);
    return g.epoch == entry.epoch && (user == nullptr || !user->active);
  });
}

}  // namespace casevault
