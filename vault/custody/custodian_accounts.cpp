#include <algorithm>
#include <array>

#include "crypto/cosignature.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/witness_request.h"
#include "vault/custody/custodian_core.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::size_t kMaxEntries = 500;                     // a page
constexpr std::size_t kPageRoom = kMaxWireBody - 4 * 1'024;  // bytes for entries in the answer
constexpr std::string_view kLogOrigin = "casevault/";        // then the vault id
constexpr std::array<std::string_view, 2> kAlarms = {"{\"action\":\"calm\",", "{\"action\":\"duress\","};

struct Interval {
  VerifyKey to;
  VaultId vault{};
  std::int64_t from = 0;
  std::int64_t until = 0;
  std::uint64_t first = 0;  // no entries before this index
};

Interval parse_interval(std::string_view text) {
  Query query(text);
  Interval interval{.to = {query.hex<32>("to")},
                    .vault = query.hex<16>("vault"),
                    .from = static_cast<std::int64_t>(query.number("from")),
                    .until = static_cast<std::int64_t>(query.number("until")),
                    .first = query.number("first")};
  query.end();
  return interval;
}

nlohmann::json hashes(const std::vector<TreeHash>& proof) {
  auto list = nlohmann::json::array();
  for (const auto& hash : proof) list.push_back(to_hex(hash));
  return list;
}

bool is_alarm(std::string_view entry) {
  return std::ranges::any_of(kAlarms, [&](std::string_view start) { return entry.starts_with(start); });
}

struct Page {
  nlohmann::json entries = nlohmann::json::array();
  std::uint64_t next = 0;
};

// The alarm is for owners and cards: a device may be in the hands of whoever caused it.
Page page_of(Core& core, const VaultKey& vault, const Interval& interval, bool with_alarms) {
  Page page;
  std::size_t size = 0;
  const auto rows = core.store->log_of(vault, interval.from, interval.until, interval.first, kMaxEntries + 1);
  if (rows.size() > kMaxEntries) page.next = rows.back().index;
  for (const auto& [index, entry] : rows) {
    if (index == page.next) break;
    if (!with_alarms && is_alarm(entry)) continue;
    const nlohmann::json item = {
        {"entry", entry}, {"index", index}, {"proof", hashes(core.log.prove_inclusion(index, entry))}};
    size += nlohmann::json(item.dump()).dump().size();  // it stands in a statement, which is a string
    if (size > kPageRoom) {
      page.next = index;
      break;
    }
    page.entries.push_back(item);
  }
  return page;
}

// Cards too: after a raid, and after a destruction for ever, nobody else may be left to ask.
bool may_see_alarms(const Vault& vault, const VerifyKey& key) { return is_owner(vault, key) || is_card(vault, key); }

bool may_see_account(const Vault& vault, const VerifyKey& key) {
  const auto* device = find_device(vault.devices, key);
  return may_see_alarms(vault, key) || (device != nullptr && device->burned_by == 0);
}

/// The vault that a log is of, by its origin: casevault/<vault id>. 404 for any other.
VaultId vault_of_log(const std::string& origin) {
  const auto id = origin.starts_with(kLogOrigin) ? array_from_hex<16>(origin.substr(kLogOrigin.size())) : std::nullopt;
  if (!id) refuse(404, "unknown", "this is no log of a vault");
  return *id;
}

/// What the vault's log says of itself: 404 when the vault has no such log, 403 when another key signed.
Checkpoint require_checkpoint(const Vault& vault, const WitnessRequest& request) {
  if (!vault.policy.log.starts_with(request.unverified_checkpoint().origin + "+"))
    refuse(404, "unknown", "the vault has no such log");
  try {
    const auto checkpoint = verify_checkpoint(request.note(), NoteVerifier::parse(vault.policy.log));
    if (checkpoint) return *checkpoint;
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
  }
  refuse(403, "signature", "the checkpoint is not signed by the key of the vault's log that is in force");
}

WireAnswer known_size(std::uint64_t size) {
  return {.status = 409, .body = std::to_string(size) + "\n", .type = "text/x.tlog.size", .clock = std::nullopt};
}

WireAnswer cosigned(const Core& core, const Checkpoint& checkpoint) {
  const auto signature =
      cosign(checkpoint, core.log.origin(), core.keys.sign, static_cast<std::uint64_t>(core.now / 1000));
  return {.body = signature.encode(), .type = "text/plain; charset=utf-8", .clock = std::nullopt};
}

// What others put under the note is no business of ours.
std::string signed_by_log_alone(const SignedNote& note, const NoteVerifier& log) {
  for (const auto& signature : note.signatures()) {
    if (log.is_named_by(signature)) return note.unverified_text() + "\n" + signature.encode();
  }
  throw Error(Errc::kInternal, "a note that its log signed has no signature of it");
}

void remember(Core& core, const Vault& vault, const VerifyKey& device, const Checkpoint& checkpoint,
              const SignedNote& note) {
  const auto text = signed_by_log_alone(note, NoteVerifier::parse(vault.policy.log));
  core.store->put_witnessed(vault, {{checkpoint.size, checkpoint.root}, text});
  core.write({.action = "witness",
              .vault = vault.name(),
              .device = device,
              .detail = "root=" + to_hex(checkpoint.root) + " size=" + std::to_string(checkpoint.size)});
}

}  // namespace

WireAnswer statement(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return parse_interval(request.wire.query); });
  core.require_to(ask.to);
  const auto& vault = core.vault(ask.vault, signer.key, may_see_account);
  core.gate.take_nonce(vault.key, signer, core.now / 1000);
  const bool with_alarms = may_see_alarms(vault, signer.key);
  auto page = page_of(core, vault.key, ask, with_alarms);
  return answer_of(to_json(signed_by(
      core, kStatementDomain,
      {{"checkpoint", core.log.checkpoint()},
       {"entries", std::move(page.entries)},
       {"first", ask.first},
       {"from", ask.from},
       {"kind", "statement"},
       {"next", page.next},
       {"secrets", {{"case", count_scopes(vault, ScopeKind::kCase)}, {"user", count_scopes(vault, ScopeKind::kUser)}}},
       {"state", to_string(with_alarms ? vault.state : state_for_device(vault))},
       {"threshold", vault.policy.threshold},
       {"time", core.now},
       {"until", ask.until},
       {"vault", to_hex(vault.id)}})));
}

WireAnswer checkpoint(Core& core, const Request& request) {
  if (!request.wire.query.empty()) refuse(400, "malformed", "the query is malformed");
  return {.body = core.log.checkpoint(), .type = "text/plain; charset=utf-8", .clock = std::nullopt};
}

WireAnswer consistency(Core& core, const Request& request) {
  const auto old = parsed([&] {
    Query query(request.wire.query);
    const auto size = query.number("old");
    query.end();
    return size;
  });
  if (old == 0 || old > core.log.head().size) refuse(404, "unknown", "the log has never had that many entries");
  return answer_of({{"checkpoint", core.log.checkpoint()}, {"proof", hashes(core.log.prove_consistency(old))}});
}

WireAnswer add_checkpoint(Core& core, const Request& request) {
  const auto signer = core.signer(request);
  const auto ask = parsed([&] { return WitnessRequest::parse(request.wire.body); });
  const auto id = vault_of_log(ask.unverified_checkpoint().origin);
  auto& vault = core.vault_for_device(signer, core.keys.sign.verify_key(), id);
  const auto checkpoint = require_checkpoint(vault, ask);
  const auto known = core.store->witnessed(vault).value_or(Store::Witnessed{}).head;
  // Where duress has locked the vault, the decoy brings the newest note once more, as the vault itself would.
  const bool is_covered = state_for_device(vault) == State::kActive && checkpoint.size == known.size;
  if (!is_covered) {
    core.logged_refusal({.action = "witness", .vault = vault.name(), .device = signer.key},
                        [&] { require_open(vault, std::nullopt); });
  }
  if (ask.old_size() != known.size) return known_size(known.size);
  if (known.size != 0 && checkpoint.size == known.size && checkpoint.root != known.root)
    refuse(409, "conflict", "a tree of this size with another root was cosigned already");
  if (!ask.is_consistent_with(known.root)) refuse(422, "malformed", "the proof is wrong");
  if (checkpoint.size > known.size) remember(core, vault, signer.key, checkpoint, ask.note());
  return cosigned(core, checkpoint);
}

}  // namespace casevault::custodian
