#include <algorithm>

#include "crypto/slip39.h"
#include "vault/storage/catalog_context.h"
#include "vault/storage/slots.h"

// What the catalogue says of the trustees: part of CatalogState (docs/format.md section 7).

namespace casevault {
namespace {

constexpr const char* kTrustees = "trustees";
constexpr std::uint64_t kMaxIdentifier = (1U << 15) - 1;

}  // namespace

bool CatalogState::had_recovery_set(std::uint16_t identifier) const {
  return std::ranges::find(recovery_sets_, identifier) != recovery_sets_.end();
}

std::optional<UserKeys> CatalogState::trustees() const {
  if (!recovery_) return std::nullopt;
  return recovery_->keys;
}

void CatalogState::recovery(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner, "only owners choose the trustees' shares");
  RecoverySet set;
  const auto identifier = c.fields.count("set");
  const auto threshold = c.fields.count("threshold");
  const auto count = c.fields.count("count");
  set.keys = {c.fields.hex<16>("id"), kTrustees, {c.fields.hex<32>("sign")}, {c.fields.hex<32>("box")}};
  c.require(identifier <= kMaxIdentifier && threshold >= 2 && threshold <= count && count <= kMaxSlip39Shares,
            "its numbers are out of range");
  set.identifier = static_cast<std::uint16_t>(identifier);
  set.threshold = static_cast<std::uint32_t>(threshold);
  set.count = static_cast<std::uint32_t>(count);
  c.require(!had_recovery_set(set.identifier) && !find_user(set.keys.id), "the set was there before");
  set.change = c.change.number;
  set.since_ms = c.time_ms;
  set.by = c.by;
  recovery_sets_.push_back(set.identifier);
  recovery_ = std::move(set);
  for (auto& [number, entry] : cases_) {
    entry.opens_for_former_set = entry.opens_for_former_set || entry.recovery_key.has_value();
    entry.recovery_key.reset();
  }
}

void CatalogState::recovery_keys(Context& c) {
  c.require(find_user(c.by)->role == Role::kOwner && recovery_, "only owners seal the vault's keys to trustees");
  recovery_->role_keys = c.fields.hex<32>("roles");
  recovery_->organisation = c.fields.hex<32>("organisation");
  recovery_->keys_current = true;
}

void CatalogState::recovery_case(Context& c) {
  auto& entry = case_of(c);
  const auto* own = grant_of(entry, c.by);
  c.require(own != nullptr && own->right >= Right::kAdd, "its author may not add to the case");
  c.require(c.fields.count("epoch") == entry.epoch, "it is for another epoch");
  c.require(recovery_ && c.fields.count("set") == recovery_->identifier, "it is for another recovery set");
  c.require(!entry.recovery_key, "the case's key was sealed to the trustees before");
  entry.recovery_key = c.fields.hex<32>("key");
}

void CatalogState::rehearsal(Context& c) {
  c.require(recovery_ && c.fields.count("set") == recovery_->identifier, "it is of another recovery set");
  const auto shares = c.fields.count("shares");
  c.require(shares >= recovery_->threshold && shares <= recovery_->count, "its number of shares is impossible");
  recovery_->rehearsed_ms = c.time_ms;
  recovery_->rehearsed_by = c.by;
  recovery_->rehearsed_shares = static_cast<std::uint32_t>(shares);
}

/// Signed by the trustees' key. What was there before is over at once: users, custody, the catalogue's key, the log's.
void CatalogState::recover(Context& c) {
  c.require(recovery_ && c.by == recovery_->keys.id, "its author is not the recovery set in force");
  c.require(verify_change(vault_, c.change, recovery_->keys.sign), "its signature is not its author's");
  User user;
  user.keys = user_from_json(c.fields.any("user"), c.what);
  c.require(!find_user(user.keys.id), "the id is taken");
  c.require(c.fields.count("epoch") == epoch_ + 1, "the epoch does not follow");
  put_everybody_out(c);
  ++epoch_;
  header_hash_ = c.fields.hex<32>("header");
  handover_hash_ = c.fields.hex<32>("handover");
  custody_epoch_ = 0;
  handover_custody_ = 0;
  user.role = Role::kOwner;
  user.role_keys = c.fields.hex<32>("role_keys");
  user.approved_by = c.by;
  user.since_ms = c.time_ms;
  take_slot(c, user);
  const auto id = user.keys.id;
  users_.emplace(id, std::move(user));
  grant_covered_cases(c, id);
  recovery_->used = true;
  recovery_->keys_current = false;
}

/// Named one by one, so that partners learn of them from this statement alone.
void CatalogState::put_everybody_out(Context& c) {
  std::vector<UserId> named;
  for (const auto& item : c.fields.list("removed", kSlotCount)) {
    const auto id = item.is_string() ? array_from_hex<16>(item.get<std::string>()) : std::nullopt;
    const auto found = id ? users_.find(*id) : users_.end();
    c.require(found != users_.end() && found->second.active, "it removes somebody who is not there");
    auto& user = found->second;
    user.active = false;
    user.removed_ms = c.time_ms;
    user.removed_log_size = c.cite.size;
    former_slots_.push_back(user.slot_hash);
    if (user.spare_slot) former_slots_.push_back(user.spare_hash);
    sharing_.forget_keys_of(*id);
  }
  c.require(active_users().empty(), "it leaves somebody in");
}

void CatalogState::grant_covered_cases(Context& c, const UserId& to) {
  for (const auto& item : c.fields.list("cases", cases_.size())) {
    Fields fields(item, c.what);
    const auto* found = find_case(fields.hex<16>("case"));
    Grant grant{to, Right::kManage, 0, to, c.time_ms, c.cite.size, fields.hex<32>("key")};
    fields.end();
    c.require(found != nullptr && found->recovery_key, "it opens a case that was not sealed to the trustees");
    auto& entry = cases_.at(found->number);
    grant.epoch = entry.epoch;
    c.require(grant_of(entry, to) == nullptr, "a case stands in it twice");
    entry.grants.push_back(grant);
  }
}

}  // namespace casevault
