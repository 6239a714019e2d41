#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/secret.h"
#include "vault/custody/wire.h"
#include "vault/storage/file.h"

namespace casevault {

/// An answer of the protocol, ready for the wire.
struct WireAnswer {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::optional<std::int64_t> clock;  // for the header Casevault-Time, Unix seconds
};

/// What its operator says when it starts. Empty: as it was the last time.
struct ServeSettings {
  std::string name;     // for people, on invitations and in its certificate; "custodian" when never told
  std::string place;    // jurisdiction, for people
  std::string address;  // host:port, as invitations name it
};

/// What a long poll waits for.
struct OrderWait {
  ByteArray<16> vault{};
  VerifyKey device;
  std::uint64_t after = 0;
};

/// A custodian's rules and what it keeps, apart from sockets: one thread, no waiting, time comes in as an argument.
/// Everything that `handle` does is in memory and in one open transaction until `commit`; an answer may leave only
/// after the commit that follows it, but for those of `poll` to vaults of `take_woken`. After a failed commit the
/// object is unusable, but for `undo`.
class Custodian {
 public:
  struct Identity {
    std::string name;
    std::string place;
    std::string address;          // as invitations name it
    std::string tls_certificate;  // PEM
    ByteArray<32> pin{};
    VerifyKey key;
    BoxPublicKey box;
  };
  /// Makes the folder, the store and its keys on first use. The store is keyed by `store.key` in the folder of systemd
  /// credentials ($CREDENTIALS_DIRECTORY), else by the one in `data`, which is made then. Finishes what a tombstone
  /// tells of. @throws Error: kBusy when another process serves it, kDamaged when log and store do not agree, kNoSpace.
  static Custodian open(const Path& data, const ServeSettings& settings, std::int64_t now_ms);
  ~Custodian();
  Custodian(Custodian&&) noexcept;

  const Identity& identity() const;
  /// PEM (PKCS #8), belongs to `identity().tls_certificate`.
  const SecretBytes& tls_private_key() const;

  /// One request to any endpoint but the long poll. `signature` null where the request has no such headers.
  WireAnswer handle(const WireRequest& request, const WireSignature* signature, std::int64_t now_ms);
  /// `GET /v1/orders/wait`: an answer at once (orders there, or refused), or what to wait for.
  struct WaitOrAnswer {
    std::optional<WireAnswer> answer;
    std::optional<OrderWait> wait;
  };
  WaitOrAnswer begin_wait(const WireRequest& request, const WireSignature* signature, std::int64_t now_ms);
  /// The answer for a waiting device, nullopt when there is nothing new for it.
  std::optional<WireAnswer> poll(const OrderWait& wait, std::int64_t now_ms);
  /// When a wait ends without news.
  WireAnswer end_wait(const OrderWait& wait, std::int64_t now_ms);
  /// Vaults whose waiting devices have news since the last call: what was committed, and before that what a tombstone
  /// on the disk tells of.
  std::vector<ByteArray<16>> take_woken();

  /// For a timer, about once a minute: locks vaults that have been silent for too long, and notes that it was awake, so
  /// that its own absence is not taken for theirs.
  void tick(std::int64_t now_ms);

  /// Everything handled so far is on the disk when this returns. @throws Error
  void commit();

  /// After any of these threw kNoSpace: undoes what was not committed. From then on all but orders are refused
  /// (`no_space`), until there is space again. @throws Error
  void undo(std::int64_t now_ms);
  /// Space was kept for orders: gives it away, for the next one; and takes what is left of it back.
  void spend_reserve();
  void keep_reserve();
  static WireAnswer no_space();

 private:
  struct Parts;
  explicit Custodian(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Makes a one-time invitation; works while the service runs. `address` empty: the one that serve listens on.
/// @throws Error{kNoVault} when nothing was served from `data` yet.
Invitation make_invitation(const Path& data, const std::string& address, std::int64_t now_ms);

}  // namespace casevault
