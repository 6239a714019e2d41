#include "vault/audit/proof.h"

#include <algorithm>
#include <array>

#include "crypto/disclose.h"
#include "vault/access/session_keys.h"
#include "vault/audit/disclosure.h"
#include "vault/records/objects.h"
#include "vault/sharing/bundle.h"
#include "vault/custody/witness.h"
#include "vault/sharing/organisation.h"

namespace casevault {
namespace {

RoleKeys require_reader(Session& session, const std::string& object) {
  auto keys = open_role_keys(session.catalog(), session.identity());
  if (!keys) session.refuse("audit-prove", object, "only owners prove entries of the audit log");
  return std::move(*keys);
}

std::string prove(Session& session, const RoleKeys& keys, std::uint64_t index) {
  const auto ring = open_organisation_keys(session, "audit-prove");
  return EntryProver(session, keys, ring.back().sign).prove(index);
}

bool tells_of_arrival(const AuditEvent& event) {
  static constexpr std::array<std::string_view, 3> kActions = {"add", "testimony-add", "receive"};
  return event.outcome == "done" && std::ranges::find(kActions, event.action) != kActions.end();
}

}  // namespace

SignedNote sign_log_head(const VaultId& vault, const LogCite& head, const SigningKey& organisation) {
  return sign_checkpoint({log_origin(vault), head.size, head.root, {}}, organisation);
}

std::string make_checkpoint(Session& session) {
  session.record("audit-checkpoint", "");
  return witness_log(session).note;
}

EntryProver::EntryProver(Session& session, const RoleKeys& keys, const SigningKey& organisation)
    : session_(session),
      keys_(keys),
      head_(session.log().head()),
      checkpoint_(sign_log_head(session.state().vault(), head_, organisation)) {}

std::string EntryProver::prove(std::uint64_t index) const {
  const auto& state = session_.state();
  const auto disclosed = session_.log().disclosure(index, keys_.audit, state);
  if (!disclosed) {
    throw Error(Errc::kDamaged, "audit entry " + std::to_string(index) + " does not open", "casevault audit verify");
  }
  DisclosedEntry entry{state.vault(), index, disclosed->record, disclose(disclosed->entry_key), std::nullopt};
  const auto* user = disclosed->by ? state.find_user(*disclosed->by) : nullptr;
  if (user != nullptr) entry.user = user->keys;
  const auto leaves = session_.log().leaf_hashes().first(head_.size);
  const auto extra = encode_disclosed(entry);
  return TlogProof(index, inclusion_proof(leaves, index), checkpoint_,
                   Bytes(as_bytes(extra).begin(), as_bytes(extra).end()))
      .encode();
}

std::string prove_entry(Session& session, std::uint64_t index) {
  const auto object = "entry " + std::to_string(index);
  const auto keys = require_reader(session, object);
  session.log().refresh();
  if (index >= session.log().head().size)
    throw Error(Errc::kNotFound, "the audit log has no entry " + std::to_string(index), "casevault audit show");
  session.record("audit-prove", object);
  return prove(session, keys, index);
}

std::string prove_record(Session& session, const ObjectName& object) {
  const auto record = require_record(object);
  const auto keys = require_reader(session, to_string(object));
  session.record("audit-prove", to_string(object));
  std::optional<std::uint64_t> found;
  session.log().read_all(
      keys.audit, session.state(), [&](std::uint64_t index, const std::optional<OpenedEntry>& entry) {
        if (found || !entry || !tells_of_arrival(entry->event)) return;
        const auto runs = record_runs(entry->event.objects);
        if (std::ranges::any_of(runs, [&](const auto& run) { return run.holds(object.case_number, record); }))
          found = index;
      });
  if (!found) {
    throw Error(Errc::kNotFound, "no entry of the audit log tells how " + to_string(object) + " came into the vault",
                "casevault audit show");
  }
  return prove(session, keys, *found);
}

}  // namespace casevault
