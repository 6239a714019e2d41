#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/custody/wire.h"
#include "vault/storage/file.h"
#include "vault/vault.h"

namespace casevault {

struct User;

struct EnrolRequest {
  std::vector<Invitation> invitations;  // all custodians of the new plan, also those of the plan before
  std::uint32_t threshold = 0;
  std::uint32_t cards = 0;
  std::uint32_t quorum = 0;       // cards that unlock, destroy and burn take
  std::uint32_t lease_hours = 0;  // 0: silence locks nothing
  Path out;                       // a new folder for the cards
  std::string label;              // what the cards call the organisation; may be empty
  bool one_place = false;         // enough custodians in one place to open everything are accepted
};

/// What is under custody, and what is not yet.
struct CustodyProgress {
  std::vector<std::int64_t> cases_waiting;  // re-keyed when somebody who may add to them next does
  std::vector<std::string> users_waiting;   // converted at their next unlocking
  std::vector<Incomplete> incomplete;       // what hangs on fewer custodians than there are
  std::vector<StillToForget> to_forget;     // of former custody, at the next unlocking of an owner that reaches them
};

struct EnrolResult {
  std::vector<Path> cards;
  CustodyProgress progress;
};

/// What can be said before a passphrase is asked. @throws Error{kUsage}
void check_enrolment(const EnrolRequest& request);

/// Puts the vault under these custodians, in place of those before, if any: cards are written, the vault enrolled with
/// every custodian, secrets of all users dealt and proven, the plan put in force in one catalogue change, then every
/// case re-keyed that this owner may add to. Interrupted before that change, nothing has changed but for cards and
/// leftovers at the custodians; after it, continue_custody goes on. For owners.
/// @throws Error: kUsage, kNotAllowed, kTooFewCustodians (all must answer), kCustodiansRefused (a token was used).
using EnrolObserver = std::function<void(const std::string& step)>;
EnrolResult enrol_custody(Session& session, const EnrolRequest& request, const EnrolObserver& observer);

/// Brings cases under the custody in force, and deposits for users who could not be deposited for. For owners.
CustodyProgress continue_custody(Session& session, const EnrolObserver& observer);

/// Ends custody: cases are re-keyed without, users converted at their next unlocking. For owners.
CustodyProgress leave_custody(Session& session, const EnrolObserver& observer);

CustodyProgress custody_progress(Session& session);

/// Takes plans on which nothing hangs any more out of vault.json: no slot, no case, nothing that is still to be
/// forgotten. For owners.
void drop_former_plans(Session& session);

// For changes of people, in a vault under custody; nothing otherwise. What custodians could not be told is said in a
// warning of the session.
/// `user`: a copy, for the catalogue's state changes by it.
void deposit_for_user(Session& session, User user);
/// In the same update as the removal.
void announce_removed_user(Catalog::Update& update, const Header& header, const UserId& user);
void forget_removed_user(Session& session, const std::string& name);
/// The owners of today, as those who may change things at the custodians.
void renew_policies(Session& session);

}  // namespace casevault
