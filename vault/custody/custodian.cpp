#include "vault/custody/custodian.h"

#include <algorithm>
#include <array>

#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/custody/custodian_core.h"
#include "vault/custody/custodian_reserve.h"

namespace casevault {
namespace {

using custodian::Core;
using custodian::Refusal;
using custodian::Request;
using custodian::Store;

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kInvitationLifeMs = 7 * 24 * 60 * kMinuteMs;
constexpr std::string_view kDefaultName = "custodian";
constexpr std::string_view kWaitPath = "/v1/orders/wait";
constexpr std::int64_t kLookForSpaceMs = 10'000;
constexpr std::uint64_t kLeastSpace = 1 << 20;  // bytes besides the reserve, or the disk is as good as full

WireAnswer health(Core&, const Request&) { return {.body = "ok\n", .type = "text/plain", .clock = std::nullopt}; }

enum class OnAFullDisk { kRefused, kTaken };
struct Endpoint {
  std::string_view method;
  std::string_view path;
  WireAnswer (*function)(Core&, const Request&);
  OnAFullDisk on_a_full_disk = OnAFullDisk::kRefused;
};
constexpr std::array<Endpoint, 15> kEndpoints = {{
    {"POST", "/v1/vaults", custodian::enrol},
    {"POST", "/v1/policy", custodian::change_policy},
    {"POST", "/v1/devices", custodian::enrol_device},
    {"POST", "/v1/secrets", custodian::deposit},
    {"POST", "/v1/evaluate", custodian::evaluate},
    {"POST", "/v1/release", custodian::release},
    {"POST", "/v1/confirm", custodian::confirm},
    {"POST", "/v1/orders", custodian::take_order, OnAFullDisk::kTaken},
    {"GET", "/v1/orders", custodian::show_orders, OnAFullDisk::kTaken},
    {"POST", "/v1/receipts", custodian::take_receipt, OnAFullDisk::kTaken},
    {"GET", "/v1/statement", custodian::statement, OnAFullDisk::kTaken},
    {"GET", "/v1/checkpoint", custodian::checkpoint, OnAFullDisk::kTaken},
    {"GET", "/v1/consistency", custodian::consistency, OnAFullDisk::kTaken},
    {"POST", "/v1/add-checkpoint", custodian::add_checkpoint},
    {"GET", "/healthz", health, OnAFullDisk::kTaken},
}};

void require_shape(const WireRequest& request) {
  if (request.body.size() > kMaxWireBody) custodian::refuse(413, "too-large", "the body is too large");
  const bool is_post = request.method == "POST";
  if (is_post ? !request.query.empty() : !request.body.empty())
    custodian::refuse(400, "malformed", "a POST has a body and a GET has a query, if at all");
}

const Endpoint& endpoint_of(const WireRequest& request) {
  const auto is_it = [&](const Endpoint& endpoint) {
    return endpoint.method == request.method && endpoint.path == request.path;
  };
  const auto found = std::ranges::find_if(kEndpoints, is_it);
  if (found == kEndpoints.end()) custodian::refuse(404, "unknown", "there is no such endpoint");
  return *found;
}

File lock_folder(const Path& data) {
  const auto path = data / "lock";
  auto file = File::open_for_update(path);
  if (!file) file = File::create_new(path);
  if (!file->try_lock(File::Lock::kExclusive))
    throw Error(Errc::kBusy, "another custodian is being served from this folder");
  return *std::move(file);
}

void set(Store& store, std::string_view what, const std::string& value) {
  if (!value.empty() && store.text(what) != value) store.set_text(what, value);
}

void keep(const Path& data, const ServeSettings& settings) {
  auto store = Store::open(data);
  set(*store, "name", settings.name);
  set(*store, "place", settings.place);
  set(*store, "address", settings.address);
  store->commit();
}

Custodian::Identity identity_of(Store& store, const custodian::Keys& keys) {
  const auto pin = store.text("pin");
  if (pin.size() != 32) throw Error(Errc::kDamaged, "store.db: a row is malformed");
  return {.name = store.text("name"),
          .place = store.text("place"),
          .address = store.text("address"),
          .tls_certificate = store.text("tls_certificate"),
          .pin = to_array<32>(as_bytes(pin)),
          .key = keys.sign.verify_key(),
          .box = keys.box.public_key};
}

// The guards could not be heard while nobody listened: that silence is not theirs.
void forgive_absence(Core& core) {
  const auto awake = core.store->awake();
  const auto absence = core.now - awake;
  if (absence <= 0) return;
  for (auto& [id, vault] : core.vaults) {
    if (vault.policy.lease_ms == 0 || awake - vault.seen > vault.policy.lease_ms) continue;
    vault.seen = std::min(core.now, vault.seen + absence);
    vault.stored_seen = vault.seen;
    core.store->put_seen(vault);
  }
}

void finish_what_was_torn(Core& core) {
  for (auto& [id, vault] : core.vaults) core.apply_tombstones(vault);
}

void start(Core& core) {
  forgive_absence(core);
  finish_what_was_torn(core);
  core.store->erase_invitations_before(core.now - kInvitationLifeMs);
  core.write({.action = "start"});
}

}  // namespace

struct Custodian::Parts {
  Parts(File folder_lock, const Path& folder, std::int64_t now)
      : lock(std::move(folder_lock)),
        data(folder),
        reserve(folder),
        core(std::make_unique<Core>(Store::open(folder), folder, now)),
        identity(identity_of(*core->store, core->keys)) {
    find_space(now);
  }

  File lock;
  Path data;
  custodian::Reserve reserve;
  std::unique_ptr<Core> core;
  std::int64_t looked_for_space = 0;  // Unix milliseconds
  Identity identity;
  std::set<VaultId> woken;  // by what is committed
  std::int64_t stored_awake = 0;
  bool broken = false;

  void find_space(std::int64_t now) {
    looked_for_space = now;
    core->is_disk_full = !reserve.fill() || free_space(data) < kLeastSpace;
  }
  void require_space(std::int64_t now) {
    if (core->is_disk_full && std::abs(now - looked_for_space) >= kLookForSpaceMs) find_space(now);
    if (core->is_disk_full) throw no_space();
  }
  static Refusal no_space() { return {503, "busy", "the disk is full: only orders are taken", std::nullopt}; }
  /// Nonces stay taken.
  void reopen(std::int64_t now) {
    auto gate = std::move(core->gate);
    auto key = core->store->key().clone();
    core.reset();
    core = std::make_unique<Core>(Store::open(data, std::move(key)), data, now);
    core->gate = std::move(gate);
    core->is_disk_full = true;
    looked_for_space = now;
    broken = false;
  }

  /// Answers refusals. Any other failure leaves it unknown what is in the store: nothing more is done then.
  template <typename Act>
  auto guarded(std::int64_t now, const Act& act) -> decltype(act()) {
    require(!broken, "this custodian failed before and has to be started again");
    core->now = now;
    try {
      return act();
    } catch (const Refusal& refusal) {
      return {custodian::answer_of(refusal)};
    } catch (...) {
      broken = true;
      throw;
    }
  }
};

Custodian::Custodian(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Custodian::~Custodian() = default;
Custodian::Custodian(Custodian&&) noexcept = default;

Custodian Custodian::open(const Path& data, const ServeSettings& settings, std::int64_t now_ms) {
  make_directory(data);
  auto lock = lock_folder(data);
  const std::string name = settings.name.empty() ? std::string(kDefaultName) : settings.name;
  if (!Store::is_there(data)) {
    auto store = Store::create(data, name, now_ms);
    set(*store, "name", name);
    store->commit();
  }
  try {
    keep(data, settings);
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
    custodian::Reserve(data).release();
    keep(data, settings);
  }
  auto parts = std::make_unique<Parts>(std::move(lock), data, now_ms);
  Custodian opened(std::move(parts));
  try {
    start(*opened.parts_->core);
    opened.commit();
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
    opened.undo(now_ms);
    opened.keep_reserve();
  }
  return opened;
}

void Custodian::undo(std::int64_t now_ms) {
  const auto again = [&] {
    parts_->reopen(now_ms);
    finish_what_was_torn(*parts_->core);
    commit();
  };
  try {
    again();
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
    spend_reserve();
    again();
  }
}

void Custodian::spend_reserve() { parts_->reserve.release(); }
void Custodian::keep_reserve() { parts_->reserve.fill(); }

WireAnswer Custodian::no_space() { return custodian::answer_of(Parts::no_space()); }

const Custodian::Identity& Custodian::identity() const { return parts_->identity; }
const SecretBytes& Custodian::tls_private_key() const { return parts_->core->keys.tls_key; }

WireAnswer Custodian::handle(const WireRequest& request, const WireSignature* signature, std::int64_t now_ms) {
  return parts_->guarded(now_ms, [&]() -> WireAnswer {
    require_shape(request);
    const auto& endpoint = endpoint_of(request);
    if (endpoint.on_a_full_disk == OnAFullDisk::kRefused) parts_->require_space(now_ms);
    return endpoint.function(*parts_->core, {request, signature, now_ms});
  });
}

Custodian::WaitOrAnswer Custodian::begin_wait(const WireRequest& request, const WireSignature* signature,
                                              std::int64_t now_ms) {
  return parts_->guarded(now_ms, [&]() -> WaitOrAnswer {
    require_shape(request);
    if (request.method != "GET" || request.path != kWaitPath)
      custodian::refuse(404, "unknown", "there is no such endpoint");
    return custodian::begin_wait(*parts_->core, {request, signature, now_ms});
  });
}

std::optional<WireAnswer> Custodian::poll(const OrderWait& wait, std::int64_t now_ms) {
  return parts_->guarded(now_ms,
                         [&]() -> std::optional<WireAnswer> { return custodian::orders_after(*parts_->core, wait); });
}

WireAnswer Custodian::end_wait(const OrderWait& wait, std::int64_t now_ms) {
  return parts_->guarded(now_ms, [&]() -> WireAnswer { return custodian::no_orders(*parts_->core, wait); });
}

std::vector<VaultId> Custodian::take_woken() {
  parts_->woken.merge(parts_->core->kept_news);
  parts_->core->kept_news.clear();
  std::vector<VaultId> woken(parts_->woken.begin(), parts_->woken.end());
  parts_->woken.clear();
  return woken;
}

void Custodian::tick(std::int64_t now_ms) {
  auto& core = *parts_->core;
  parts_->guarded(now_ms, [&]() -> WireAnswer {
    for (auto& [id, vault] : core.vaults) core.look_at_lease(vault);
    const bool is_noted = now_ms >= parts_->stored_awake && now_ms - parts_->stored_awake < kMinuteMs;
    if (!is_noted && !core.is_disk_full) core.store->put_head(core.log.head(), now_ms);
    return {};
  });
}

void Custodian::commit() {
  auto& core = *parts_->core;
  parts_->guarded(core.now, [&]() -> WireAnswer {
    if (core.store->has_changes()) {
      core.store->put_head(core.log.head(), core.now);
      core.store->commit();
      parts_->stored_awake = core.now;
    }
    parts_->woken.merge(core.news);
    core.news.clear();
    return {};
  });
}

Invitation make_invitation(const Path& data, const std::string& address, std::int64_t now_ms) {
  const auto store = Store::open(data);
  const auto identity = identity_of(*store, store->keys());
  const auto& place = address.empty() ? identity.address : address;
  if (!is_custodian_address(place))
    throw Error(Errc::kUsage, "an invitation needs the address, host:port, by which others reach this custodian");
  const Invitation invitation{{identity.name, identity.place, place, identity.pin, identity.key, identity.box},
                              random_array<32>()};
  store->put_invitation(sha256(invitation.token), now_ms + kInvitationLifeMs);
  store->commit();
  return invitation;
}

}  // namespace casevault
