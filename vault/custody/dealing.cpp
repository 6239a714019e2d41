#include "vault/custody/dealing.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"

namespace casevault {
namespace {

constexpr std::string_view kUndealt = "undealt/";
constexpr std::string_view kDealt = "dealt/";

/// What notes begin with: `<kind><custody epoch>/<user id>/`; 8 random bytes follow.
std::string prefix_of(std::string_view kind, std::uint32_t custody_epoch, const UserId& user) {
  return std::string(kind) + std::to_string(custody_epoch) + "/" + to_hex(user) + "/";
}

std::string new_note(std::string_view kind, std::uint32_t custody_epoch, const UserId& user) {
  return prefix_of(kind, custody_epoch, user) + to_hex(random_array<8>());
}

std::vector<std::string> deals_of(Session& session, std::uint32_t custody_epoch, const UserId& user) {
  auto notes = session.catalog().unfinished();
  std::erase_if(notes, [&](const std::string& note) {
    return !note.starts_with(prefix_of(kUndealt, custody_epoch, user)) &&
           !note.starts_with(prefix_of(kDealt, custody_epoch, user));
  });
  return notes;
}

/// One in place of all that there are.
void replace_notes(Session& session, std::string_view kind, std::uint32_t custody_epoch, const UserId& user) {
  Catalog::Update update(session.catalog());
  for (const auto& note : deals_of(session, custody_epoch, user)) session.catalog().set_finished(note);
  update.announce_file(new_note(kind, custody_epoch, user));
  update.commit();
}

}  // namespace

void announce_undealt(Catalog::Update& update, std::uint32_t custody_epoch, const UserId& user) {
  if (custody_epoch > 0) update.announce_file(new_note(kUndealt, custody_epoch, user));
}

void begin_dealing(Session& session, std::uint32_t custody_epoch, const UserId& user) {
  replace_notes(session, kUndealt, custody_epoch, user);
}

void end_dealing(Session& session, std::uint32_t custody_epoch, const UserId& user) {
  replace_notes(session, kDealt, custody_epoch, user);
}

bool is_undealt(const std::vector<std::string>& notes, std::uint32_t custody_epoch, const UserId& user) {
  const auto prefix = prefix_of(kUndealt, custody_epoch, user);
  return std::ranges::any_of(notes, [&](const std::string& note) { return note.starts_with(prefix); });
}

bool is_old_deal(const CatalogState& state, const std::string& note) {
  if (!note.starts_with(kUndealt) && !note.starts_with(kDealt)) return false;
  const auto epoch = state.custody_epoch();
  return std::ranges::none_of(state.active_users(), [&](const User* user) {
    const auto& id = user->keys.id;
    return note.starts_with(prefix_of(kUndealt, epoch, id)) ||
           (user->slot_custody != epoch && note.starts_with(prefix_of(kDealt, epoch, id)));
  });
}

std::vector<std::string> own_deals(Session& session, std::uint32_t custody_epoch) {
  return deals_of(session, custody_epoch, session.user_id());
}

void require_same_deals(Session& session, std::uint32_t custody_epoch, const std::vector<std::string>& deals) {
  if (own_deals(session, custody_epoch) != deals)
    throw Error(Errc::kBusy, "an owner dealt your secrets at the custodians anew meanwhile", "repeat the command");
}

}  // namespace casevault
