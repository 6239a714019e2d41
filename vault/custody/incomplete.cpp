#include "vault/custody/incomplete.h"

#include <algorithm>
#include <map>

#include "crypto/text_lines.h"
#include "vault/access/handover.h"
#include "vault/access/session_keys.h"
#include "vault/custody/client.h"
#include "vault/custody/dealing.h"
#include "vault/custody/enrolment.h"
#include "vault/custody/secret_names.h"
#include "vault/storage/catalog.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

constexpr std::string_view kMissed = "missed/";
constexpr std::size_t kByOwners = 64;  // shares in one request
constexpr std::size_t kByMembers = 1;  // custodians take no more of them
constexpr std::size_t kRequests = 16;  // to one custodian in one session; the rest is for the next

/// `missed/<custody epoch>/<seat>/<case number>/<key epoch>`; for the catalogue the number is 0.
struct Missed {
  std::uint32_t custody_epoch = 0;
  std::uint32_t seat = 0;
  std::int64_t number = 0;
  std::uint32_t key_epoch = 0;
  bool is_of_case() const { return number != 0; }

  std::string encode() const {
    std::string text(kMissed);
    text += std::to_string(custody_epoch) + "/" + std::to_string(seat) + "/";
    return text + std::to_string(number) + "/" + std::to_string(key_epoch);
  }
  static std::optional<Missed> parse(std::string_view text) {
    if (!text.starts_with(kMissed)) return std::nullopt;
    text.remove_prefix(kMissed.size());
    Missed missed;
    const auto take = [&](auto& into) {
      const auto end = std::min(text.find('/'), text.size());
      const auto number = from_decimal(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (number) into = static_cast<std::remove_reference_t<decltype(into)>>(*number);
      return number && *number <= UINT32_MAX;
    };
    const bool holds = take(missed.custody_epoch) && take(missed.seat) && take(missed.number) && take(missed.key_epoch);
    return holds && text.empty() ? std::optional(missed) : std::nullopt;
  }
};

void announce(Catalog::Update& update, const std::vector<MissedSeat>& seats, Missed missed) {
  for (const auto& seat : seats) {
    missed.seat = seat.index;
    update.announce_file(missed.encode());
  }
}

/// Whether it is about a key of today.
bool still_counts(const CatalogState& state, const Header& header, const Missed& missed) {
  const auto* plan = header.custody_of(missed.custody_epoch);
  if (plan == nullptr ||
      std::ranges::find(plan->custodians, missed.seat, &CustodianSeat::index) == plan->custodians.end())
    return false;
  if (!missed.is_of_case())
    return missed.custody_epoch == state.handover_custody() && missed.key_epoch == state.epoch();
  const auto* entry = state.find_case(missed.number);
  return entry != nullptr && entry->custody_epoch == missed.custody_epoch && entry->epoch == missed.key_epoch;
}

using Notes = std::vector<std::string>;

/// The state is as new as they are: a note of another process must not seem to be about nothing.
Notes read_notes(Session& session) {
  auto notes = session.catalog().unfinished();
  session.catalog().refresh();
  return notes;
}

std::vector<Missed> missed_of_today(Session& session, const Notes& notes) {
  std::vector<Missed> some;
  for (const auto& note : notes) {
    const auto missed = Missed::parse(note);
    if (missed && still_counts(session.state(), session.keys().header, *missed)) some.push_back(*missed);
  }
  return some;
}

enum class Slot { kUnderCustody, kNotYet };
/// Users whose secrets are not known to be at all custodians.
std::vector<User> undealt_users(const CatalogState& state, const Notes& notes, Slot slot) {
  std::vector<User> users;
  for (const auto* user : state.active_users()) {
    const auto is = user->slot_custody == state.custody_epoch() ? Slot::kUnderCustody : Slot::kNotYet;
    if (is == slot && is_undealt(notes, state.custody_epoch(), user->keys.id)) users.push_back(*user);
  }
  return users;
}

bool may_complete(Session& session, const Missed& missed) {
  if (session.role() == Role::kOwner) return true;
  if (!missed.is_of_case()) return false;
  const auto& state = session.state();
  const auto* grant = state.grant_of(*state.find_case(missed.number), session.user_id());
  return grant != nullptr && grant->right == Right::kManage;
}

std::string name_for_people(const Missed& missed) {
  return missed.is_of_case() ? "C-" + std::to_string(missed.number) : "the catalogue";
}

MissedShare share_missed(Session& session, const CustodyPlan& plan, const Missed& missed) {
  if (missed.is_of_case()) {
    const auto& entry = *session.state().find_case(missed.number);
    return {ScopeKind::kCase, case_secret(plan, missed.number, missed.key_epoch), *entry.share};
  }
  const auto& keys = session.keys();
  const auto half = handover_scalar(keys.catalog_key, keys.header.vault_id, keys.catalog_epoch);
  return {ScopeKind::kUser, handover_secret(plan, missed.key_epoch), generator_times(half)};
}

/// An order about one of them keeps back all.
enum class Brought { kYes, kNo, kNotTogether };
Brought bring(Session& session, const CustodyPlan& plan, std::uint32_t seat, const std::vector<Missed>& some) {
  std::vector<MissedShare> shares;
  for (const auto& missed : some) shares.push_back(share_missed(session, plan, missed));
  try {
    custodians_of(session, plan.epoch).bring_shares(seat, shares, session.identity().signing);
    return Brought::kYes;
  } catch (const Error& error) {
    switch (error.code()) {
      case Errc::kDestroyed:  // what is destroyed needs no share any more
        return some.size() == 1 ? Brought::kYes : Brought::kNotTogether;
      case Errc::kCustodiansRefused:
      case Errc::kDamaged:
        return some.size() == 1 ? Brought::kNo : Brought::kNotTogether;
      case Errc::kTooFewCustodians:
        return Brought::kNo;
      default:
        throw;
    }
  }
}

/// Returns those that are done with.
std::vector<Missed> bring_some(Session& session, const CustodyPlan& plan, std::uint32_t seat,
                               const std::vector<Missed>& some) {
  const auto brought = bring(session, plan, seat, some);
  if (brought == Brought::kYes) return some;
  std::vector<Missed> done;
  for (std::size_t i = 0; brought == Brought::kNotTogether && i < some.size(); ++i) {
    if (bring(session, plan, seat, {some[i]}) == Brought::kYes) done.push_back(some[i]);
  }
  return done;
}

void complete_at(Session& session, const CustodyPlan& plan, std::uint32_t seat, const std::vector<Missed>& missed) {
  const auto at_once = session.role() == Role::kOwner ? kByOwners : kByMembers;
  auto rest = std::span(missed);
  for (std::size_t request = 0; request < kRequests && !rest.empty(); ++request) {
    const auto some = rest.first(std::min(at_once, rest.size()));
    rest = rest.subspan(some.size());
    std::string names;
    for (const auto& done : bring_some(session, plan, seat, {some.begin(), some.end()})) {
      session.catalog().set_finished(done.encode());
      names += (names.empty() ? "" : ", ") + name_for_people(done);
    }
    if (names.empty()) return;
    session.record("custody-deposit", names);
  }
}

void complete_plan(Session& session, const CustodyPlan& plan, const std::vector<Missed>& missed,
                   const std::vector<User>& users) {
  std::map<std::uint32_t, std::vector<Missed>> by_seat;
  for (const auto& one : missed) {
    if (one.custody_epoch == plan.epoch) by_seat[one.seat].push_back(one);
  }
  if (by_seat.empty() && users.empty()) return;
  // Nothing is asked of the others for one that does not answer, or not for long.
  const auto standings = custodians_of(session, plan.epoch).standings();
  const auto is_up = [](const Standing& standing) { return standing.state == "active"; };
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const auto waiting = by_seat.find(plan.custodians[i].index);
    if (is_up(standings[i]) && waiting != by_seat.end()) complete_at(session, plan, waiting->first, waiting->second);
  }
  if (!std::ranges::all_of(standings, is_up)) return;
  for (const auto& user : users) deposit_for_user(session, user);
}

/// About keys of before.
void drop_old_notes(Session& session, const Notes& notes) {
  const auto& state = session.state();
  for (const auto& note : notes) {
    const auto missed = Missed::parse(note);
    const bool is_old = missed ? !still_counts(state, session.keys().header, *missed) : is_old_deal(state, note);
    if (is_old) session.catalog().set_finished(note);
  }
}

}  // namespace

void warn_of_missed(Session& session, const CustodyPlan& plan, const std::vector<MissedSeat>& missed) {
  if (missed.empty()) return;
  std::string names;
  for (const auto& seat : missed) names += (names.empty() ? "" : ", ") + seat.name + " (" + seat.reason + ")";
  const auto have = plan.custodians.size() - missed.size();
  const auto spare = have - plan.threshold;
  const auto sentence =
      "no share of the new key came to " + names + ": it takes " + std::to_string(plan.threshold) + " of the " +
      std::to_string(have) + " custodians who have one, so " +
      (spare == 0 ? "none of them may fail now" : "no more than " + std::to_string(spare) + " of them may fail now") +
      "; the share is brought there by itself when an owner, or who manages the case, next unlocks and that custodian "
      "answers; what waits for it: casevault custody status";
  if (std::ranges::find(session.warnings(), sentence) == session.warnings().end()) session.warn(sentence);
}

void announce_missed(Catalog::Update& update, const std::optional<NewCaseShare>& dealt, std::int64_t number,
                     std::uint32_t key_epoch) {
  if (dealt) announce(update, dealt->missed, {dealt->custody_epoch, 0, number, key_epoch});
}

void announce_missed_handover(Catalog::Update& update, const std::vector<MissedSeat>& missed,
                              std::uint32_t catalog_epoch) {
  announce(update, missed, {update.state().custody_epoch(), 0, 0, catalog_epoch});
}

std::vector<Incomplete> incomplete_deposits(Session& session) {
  const auto notes = read_notes(session);
  std::map<std::string, std::vector<std::string>> by_custodian;
  for (const auto& missed : missed_of_today(session, notes)) {
    const auto& seats = session.keys().header.custody_of(missed.custody_epoch)->custodians;
    const auto seat = std::ranges::find(seats, missed.seat, &CustodianSeat::index);
    by_custodian[seat->custodian.name].push_back(name_for_people(missed));
  }
  for (const auto& user : undealt_users(session.state(), notes, Slot::kUnderCustody))
    by_custodian[""].push_back(user.keys.name);
  std::vector<Incomplete> incomplete;
  for (auto& [custodian, names] : by_custodian) incomplete.push_back({custodian, std::move(names)});
  return incomplete;
}

void complete_deposits(Session& session) {
  const auto notes = read_notes(session);
  auto missed = missed_of_today(session, notes);
  std::erase_if(missed, [&](const Missed& one) { return !may_complete(session, one); });
  std::vector<User> users;
  if (session.role() == Role::kOwner) users = undealt_users(session.state(), notes, Slot::kNotYet);
  try {
    drop_old_notes(session, notes);
    for (const auto& plan : session.keys().header.custody)
      complete_plan(session, plan, missed, plan.epoch == session.state().custody_epoch() ? users : std::vector<User>());
  } catch (const Error& error) {
    const auto code = error.code();
    if (code != Errc::kNotAllowed && code != Errc::kBusy && code != Errc::kNoSpace) throw;
  }
}

}  // namespace casevault
