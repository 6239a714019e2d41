#pragma once
#include <string>
#include <vector>

#include "vault/custody/shares.h"

namespace casevault {

// A deposit counts when a threshold of custodians took it, so that one that is away stops nobody. What the others
// missed is announced in the same update as the change that relies on the deposit, and brought to them later: else as
// many custodians fewer could be lost without a loss of keys. These notes are nobody's signed word: who removes one
// leaves things as they were, who makes one up has a share brought to whom it belongs.

/// Once in a session for the same custodians.
void warn_of_missed(Session& session, const CustodyPlan& plan, const std::vector<MissedSeat>& missed);

/// With the case's new epoch.
void announce_missed(Catalog::Update& update, const std::optional<NewCaseShare>& dealt, std::int64_t number,
                     std::uint32_t key_epoch);
/// With the new epoch of the catalogue key.
void announce_missed_handover(Catalog::Update& update, const std::vector<MissedSeat>& missed,
                              std::uint32_t catalog_epoch);

/// What hangs on fewer custodians than there are.
struct Incomplete {
  std::string custodian;        // who has no share; empty where it is not known which
  std::vector<std::string> of;  // cases, "the catalogue", users' names
};
std::vector<Incomplete> incomplete_deposits(Session& session);

/// Brings custodians that answer again what they missed. For owners, and of cases for who manages them; others leave it
/// to these. Never throws for want of custodians.
void complete_deposits(Session& session);

}  // namespace casevault
