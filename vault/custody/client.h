#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/oprf.h"
#include "vault/custody/device.h"
#include "vault/custody/order.h"
#include "vault/custody/plan.h"
#include "vault/environment.h"

namespace casevault {

// INTERFACE FIXED BY THE LEAD (the vault's side is written against it already in /work/main:
// vault/custody/{plan,shares,enrolment,account,machines}.*). plan.h and order.h: take plan.{h,cpp} from
// /work/main/vault/custody, order.{h,cpp} from branch h/page. Names and signatures must stay; add what you need.

/// A secret at the custodians: an id and a version of it (protocol section 3, `POST /v1/secrets`).
struct SecretName {
  CustodyId id{};
  std::uint32_t version = 0;
  bool operator==(const SecretName&) const = default;
};

struct UserDeposit {
  SecretName name;
  Scalar oprf;
  Scalar share;
  VerifyKey user;    // signs confirmations
  VerifyKey duress;  // signs alarms; of nobody where there is no duress passphrase
};

/// What a policy says besides the plan (its index and threshold, quorum, cards, lease).
struct CustodyPolicy {
  std::vector<VerifyKey> owners;
  std::string log;  // verifier key of the vault's checkpoints
  CustodyPlan plan;
};

struct TriesReport {
  std::uint64_t unconfirmed = 0;  // evaluations since the last confirmation, the most that any custodian counted
  std::int64_t since_ms = 0;
  std::vector<std::string>
      checkpoints;  // of the vault's own log, newest that each custodian witnessed; unchecked notes
};

struct Standing {  // of one custodian, for people
  CustodianAddress custodian;
  bool reached = false;
  std::string state;  // "active", "locked", "destroyed", or why it was not reached, a few plain words
};

struct CustodianLogEntry {
  std::string action;
  std::int64_t at_ms = 0;
  std::string device;  // key, hex; may be empty
  std::optional<CustodyId> id;
  std::uint64_t index = 0;
  std::string outcome;
};
struct CustodianStatement {
  CustodianAddress custodian;
  std::string fault;  // why there is none; empty when there is one, checked
  std::vector<CustodianLogEntry> entries;
};

/// One machine's talk with the custodians of one plan: all at once, never waiting for one that is dead.
class CustodyClient {
 public:
  CustodyClient(const VaultId& vault, CustodyPlan plan, DeviceKey device, const Environment& environment);
  ~CustodyClient();
  CustodyClient(CustodyClient&&) noexcept;
  const VerifyKey& device_key() const;

  /// All must take it. `tokens`: one for each custodian of the plan, in its order.
  void enrol(const std::vector<ByteArray<32>>& tokens, const CustodyPolicy& policy, const SigningKey& owner);
  void renew_policy(const CustodyPolicy& policy, const SigningKey& owner);              // all must take it
  void add_device(const CustodyId& id, const VerifyKey& key, const SigningKey& owner);  // threshold at least
  /// By one-time tokens, for the custodians whose key is named; threshold at least.
  void enrol_device(const CustodyId& id, const std::vector<std::pair<VerifyKey, ByteArray<32>>>& tokens);

  void deal_user(const UserDeposit& deposit, const SigningKey& by);  // all must take it
  /// Deals `secret` among the custodians; threshold of them at least must take it. Returns the commitment.
  Element deal_case(const SecretName& name, const Scalar& secret, const SigningKey& by);
  void delete_shares(const std::vector<SecretName>& cases, const SigningKey& owner);  // all must take it
  void delete_user(const SecretName& name, const SigningKey& owner);                  // both types; all must take it

  /// Signed by the user, about the user's own secrets. All must take it.
  void set_duress(const SecretName& name, const VerifyKey& duress, const SigningKey& user);

  OprfOutput evaluate(const SecretName& name, const PassphraseKey& stretched);
  /// In the order of `names`.
  std::vector<Scalar> release(const std::vector<SecretName>& names);
  TriesReport confirm(const CustodyId& user, const SigningKey& key);

  std::vector<Standing> standings();
  std::vector<CustodianStatement> statements(std::int64_t from_ms, std::int64_t until_ms);
  /// C2SP tlog-witness; cosignature lines by custodian, those that could be had.
  std::vector<std::pair<CustodianAddress, std::string>> add_checkpoint(std::uint64_t old_size,
                                                                       const std::vector<ByteArray<32>>& proof,
                                                                       const std::string& note);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// What evaluate would give with the whole key: for proving a deal before it is relied on.
OprfOutput oprf_alone(const Scalar& key, const PassphraseKey& stretched);

}  // namespace casevault

// device.h, likewise fixed:
//   struct DeviceKey { std::string name; SigningKey key; };
//   std::optional<DeviceKey> load_device(const Environment&, const VaultId&);
//   DeviceKey ensure_device(const Environment&, const VaultId&, const std::string& name);      // and an overload
//   without name: environment.device
// Environment gets: std::filesystem::path state_folder; std::string proxy ("host:port" of a SOCKS5 proxy, empty: none).
// Percent encoding: expose `std::string to_percent_encoded(std::string_view)` and `std::optional<std::string>
// from_percent_encoded(std::string_view)` in wire.h.
