#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/oprf.h"
#include "crypto/shamir.h"
#include "vault/custody/device.h"
#include "vault/custody/order.h"
#include "vault/custody/plan.h"
#include "vault/custody/statement.h"
#include "vault/environment.h"

namespace casevault {

/// A secret at the custodians: an id and a version of it (protocol section 3, `POST /v1/secrets`).
struct SecretName {
  CustodyId id{};
  std::uint32_t version = 0;
  bool operator==(const SecretName&) const = default;
};

/// A custodian that did not take what the others took: it was not reached in time, or refused.
struct MissedSeat {
  std::uint32_t index = 0;  // of its seat
  std::string name;
  std::string reason;  // a clause for people
};
struct Deal {
  Element commitment;
  std::vector<MissedSeat> missed;
};
/// A `share` secret that one custodian has none of.
struct MissedShare {
  ScopeKind kind = ScopeKind::kCase;
  SecretName name;
  Element commitment;
};

/// What the custodians are given of one user.
struct UserDeposit {
  SecretName name;
  Scalar oprf;
  Scalar share;
  VerifyKey user;    // signs confirmations
  VerifyKey duress;  // signs alarms; of nobody where there is no duress passphrase
};

/// What a policy says: of the plan its threshold, quorum, cards and lease, and each custodian's own index.
struct CustodyPolicy {
  std::vector<VerifyKey> owners;
  std::string log;  // verifier key of the vault's checkpoints
  CustodyPlan plan;
};

struct TriesReport {
  std::uint64_t unconfirmed = 0;  // evaluations since the last confirmation, the most that any custodian counted
  std::int64_t since_ms = 0;      // when the first of these was, by that custodian's clock
  std::vector<std::string>
      checkpoints;  // of the vault's own log, newest that each custodian witnessed; unchecked notes
};

struct Standing {  // of one custodian, for people
  CustodianAddress custodian;
  bool reached = false;
  std::string state;            // "active", "locked", "destroyed", or why it was not reached, a few plain words
  std::int64_t silence_ms = 0;  // from when on silence locks the vault there; 0: never, or not known
};

/// An order that was done at a custodian. Whether its signatures hold is for the receiver to check.
struct DoneOrder {
  std::uint64_t number = 0;  // counts from 1 at each custodian
  std::int64_t done_ms = 0;
  SignedOrder order;
};
struct OrderNews {
  std::uint64_t newest = 0;  // number of the newest order
  std::string state;         // "active", "locked", "destroyed"
  std::vector<DoneOrder> orders;
};

/// One machine's talk with the custodians of one plan: all at once, never waiting for one that is dead. Every function
/// throws Error: kTooFewCustodians naming each custodian and what happened, when fewer did as asked than it says here
/// (the threshold, where it says nothing); kCustodiansRefused or kDestroyed when at least the threshold refused for the
/// same reason; kInterrupted. One thread at a time.
class CustodyClient {
 public:
  /// @throws Error{kUsage} for a proxy that is none.
  CustodyClient(const VaultId& vault, CustodyPlan plan, DeviceKey device, const Environment& environment);
  ~CustodyClient();
  CustodyClient(CustodyClient&&) noexcept;
  const VerifyKey& device_key() const;

  /// All must take it. `tokens`: one for each custodian of the plan, in its order.
  void enrol(const std::vector<ByteArray<32>>& tokens, const CustodyPolicy& policy, const SigningKey& owner);
  /// All must take it.
  void renew_policy(const CustodyPolicy& policy, const SigningKey& owner);
  /// Returns who does not know it yet.
  std::vector<MissedSeat> add_device(const CustodyId& id, const VerifyKey& key, const SigningKey& owner);
  /// This machine by one-time tokens, for the custodians whose key is named.
  void enrol_device(const CustodyId& id, const std::vector<std::pair<VerifyKey, ByteArray<32>>>& tokens);

  /// Deals both scalars among the custodians. All must take it.
  void deal_user(const UserDeposit& deposit, const SigningKey& by);
  /// Deals `secret` among the custodians.
  Deal deal_case(const SecretName& name, const Scalar& secret, const SigningKey& by);
  /// The half of the catalogue key that custodians hold; by an owner.
  Deal deal_handover(const SecretName& name, const Scalar& secret, const SigningKey& owner);
  /// Brings the custodian at the seat of `index` its shares of what it missed, as those of the others determine them:
  /// what they hold stays as it is. All or none, 64 at most. For the same once more there is the same share.
  /// @throws also Error{kDamaged} when too many of the others lie.
  void bring_shares(std::uint32_t index, const std::vector<MissedShare>& missed, const SigningKey& by);
  /// All must take it: else enough may be left to put it together.
  void delete_shares(const std::vector<SecretName>& cases, const SigningKey& owner);
  /// Both types; all must take it.
  void delete_users(const std::vector<SecretName>& users, const SigningKey& owner);
  /// Signed by the user, about the user's own secrets. All must take it.
  void set_duress(const SecretName& name, const VerifyKey& duress, const SigningKey& user);

  /// What custodians answered to one blinded question, in the order in which it came.
  struct Evaluation {
    Scalar blind;
    std::vector<ElementShare> answers;
  };
  /// Costs a try, at every custodian, until `confirm`. From the threshold on, each answer is followed by asking
  /// `is_enough`; without a yes, all that answer in time are there. Nothing proves an answer: one that is false gives
  /// another output.
  /// @throws also Error{kWrongPassphrase} when they know nobody of this name.
  Evaluation evaluate(const SecretName& name, const PassphraseKey& stretched,
                      const std::function<bool(const Evaluation&)>& is_enough);
  /// The first answers, believed.
  OprfOutput evaluate(const SecretName& name, const PassphraseKey& stretched);
  /// The first `enough` shares of a user's secret, or of all that answer in time, where they are the threshold at
  /// least; unchecked. @throws also Error{kWrongPassphrase}, as above.
  std::vector<ScalarShare> release_shares(const SecretName& user, std::size_t enough);
  /// In the order of `names`, all or none. @pre different names
  std::vector<Scalar> release(const std::vector<SecretName>& names);
  /// The same for one whose commitment is known: custodians that lie are left out, as long as enough do not.
  /// @throws also Error{kDamaged} when too many do.
  Scalar release(const SecretName& name, const Element& commitment);
  /// Tells every custodian that can be reached in time, one at least.
  TriesReport confirm(const CustodyId& user, const SigningKey& key);

  /// Never throws for want of custodians, nor do the next two.
  std::vector<Standing> standings();
  /// ask_for_statements of these custodians.
  std::vector<CustodianStatement> statements(std::int64_t from_ms, std::int64_t until_ms, const SigningKey& by);
  /// C2SP tlog-witness; cosignature lines by custodian, checked, those that could be had.
  std::vector<std::pair<CustodianAddress, std::string>> add_checkpoint(std::uint64_t old_size,
                                                                       const std::vector<ByteArray<32>>& proof,
                                                                       const std::string& note);
  /// The same where custodians may remember different sizes: `prove` leads from each to the checkpoint's.
  using Prove = std::function<std::vector<ByteArray<32>>(std::uint64_t old_size)>;
  std::vector<std::pair<CustodianAddress, std::string>> add_checkpoint(std::uint64_t old_size, const Prove& prove,
                                                                       const std::string& note);

  std::size_t custodians() const;
  /// Waits, up to a minute, until the custodian (its place in the plan) has done an order with a number above `after`.
  /// For a guard: one client and one thread for each custodian. @throws Error: what this one custodian's answer was.
  OrderNews wait_for_orders(std::size_t custodian, std::uint64_t after);
  /// Tells every custodian that can be reached how far this machine is with an order; one at least.
  void send_receipt(const Sha256Digest& order, GuardStage stage, const std::vector<std::string>& not_reached);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// What evaluate would give with the whole key: for proving a deal before it is relied on.
OprfOutput oprf_alone(const Scalar& key, const PassphraseKey& stretched);

}  // namespace casevault
