#include "vault/audit/report.h"

#include <algorithm>

#include "vault/access/role_keys.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/records/reading.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

bool names_case(const std::string& objects, std::int64_t number) {
  const auto name = "C-" + std::to_string(number);
  for (auto at = objects.find(name); at != std::string::npos; at = objects.find(name, at + 1)) {
    const auto next = at + name.size();
    const bool starts = at == 0 || objects[at - 1] == ' ' || objects[at - 1] == '.';
    if (starts && (next == objects.size() || !std::isdigit(static_cast<unsigned char>(objects[next])))) return true;
  }
  return false;
}

bool passes(const AuditFilter& filter, const AuditEntry& entry) {
  return (!filter.since_ms || entry.time_ms >= *filter.since_ms) &&
         (filter.user.empty() || entry.user == filter.user) &&
         (filter.case_number == 0 || names_case(entry.objects, filter.case_number)) &&
         (filter.action.empty() || entry.action == filter.action);
}

AuditEntry describe(const Session& session, std::uint64_t index, const OpenedEntry& entry) {
  return {index,
          entry.time_ms,
          entry.by ? user_name(session, *entry.by) : std::string(),
          entry.device,
          entry.event.action,
          entry.event.objects,
          entry.event.outcome};
}

void check_cite(const AuditLog& log, const LogCite& cite, const std::string& by, std::vector<Finding>& findings) {
  if (cite.size <= log.head().size && log.root_at(cite.size) == cite.root) return;
  findings.push_back({Finding::Weight::kBad, "audit/log",
                      by + " saw " + std::to_string(cite.size) +
                          " entries in another state: entries were removed, replaced or changed since; compare with a "
                          "copy of the vault"});
}

/// All statements of the catalogue against the tree in one pass, not one pass each.
void check_statements(Session& session, std::vector<Finding>& findings) {
  std::map<std::uint64_t, std::pair<TreeHash, std::uint64_t>> cites;  // size → root, change
  for (const auto& change : read_chain(session.catalog().database())) {
    const auto statement = parse_canonical(change.statement, "catalogue change " + std::to_string(change.number));
    Fields fields(statement, "catalogue change");
    cites.try_emplace(fields.count("log_size"), fields.hex<32>("log_root"), change.number);
  }
  session.log().refresh();
  std::set<std::uint64_t> sizes;
  for (const auto& [size, cite] : cites) sizes.insert(size);
  const auto roots = session.log().roots_at(sizes);
  for (const auto& [size, cite] : cites) {
    const auto root = roots.find(size);
    if (root != roots.end() && root->second == cite.first) continue;
    findings.push_back({Finding::Weight::kBad, "audit/log",
                        "catalogue change " + std::to_string(cite.second) + " saw " + std::to_string(size) +
                            " entries in another state: entries were removed, replaced or changed since; compare with "
                            "a copy of the vault"});
    return;  // everything behind the first break differs too
  }
}

/// What each entry's writer knew of the catalogue must be part of its chain.
void check_states(Session& session, std::vector<Finding>& findings) {
  for (std::uint64_t index = 0; index < session.log().head().size; ++index) {
    const auto state = session.log().state_at(index, session.keys().state_key);
    if (!state || chain_hash_at(session.catalog().database(), state->count) == state->hash) continue;
    findings.push_back({Finding::Weight::kBad, "audit entry " + std::to_string(index),
                        "it was written over another catalogue than this: catalog.db was rolled back or forked"});
  }
}

void check_entries(Session& session, const RoleKeys& keys, std::vector<Finding>& findings) {
  bool broken = false;  // every entry behind the first break follows another log, too
  bool ours = false;    // from here on entries know a catalogue of this key; only failed unlocks know none
  session.log().read_all(
      keys.audit, session.state(), [&](std::uint64_t index, const std::optional<OpenedEntry>& entry) {
        const auto name = "audit entry " + std::to_string(index);
        const bool readable = session.log().state_at(index, session.keys().state_key).has_value();
        if (ours && !readable && entry && entry->by) {
          findings.push_back(
              {Finding::Weight::kBad, name,
               "it was written over a catalogue with another key, after this one: catalog.db was rolled back"});
        }
        ours = ours || readable;
        if (!entry) {
          findings.push_back(
              {Finding::Weight::kBad, name, "it does not open: damaged, moved, or not written by casevault"});
        } else if (entry->by && !entry->signature_checked) {
          findings.push_back({Finding::Weight::kBad, name, "its signature is not that of the person it names"});
        } else if (!entry->follows && !std::exchange(broken, true)) {
          findings.push_back({Finding::Weight::kBad, name,
                              "it was written over other entries than those that lie before it now: one of them was "
                              "altered, or some are missing"});
        }
      });
}

/// A name mistyped must not look like "nothing happened".
void require_known(const Session& session, const AuditFilter& filter) {
  const auto& users = session.state().users();
  const bool user_known = filter.user.empty() ||
                          std::ranges::any_of(users, [&](const auto& u) { return u.second.keys.name == filter.user; });
  if (!user_known) throw Error(Errc::kNotFound, "nobody of that name is or was in the vault", "casevault user list");
  if (filter.case_number != 0 && session.state().find_case(filter.case_number) == nullptr) {
    throw Error(Errc::kNotFound, "there is no case of that number", "casevault case list");
  }
}

}  // namespace

std::vector<AuditEntry> show_audit(Session& session, const AuditFilter& filter) {
  const auto keys = open_role_keys(session.catalog(), session.identity());
  if (!keys) session.refuse("audit-show", "", "only owners and auditors read the audit log");
  require_known(session, filter);
  session.record("audit-show", "");
  std::vector<AuditEntry> entries;
  session.log().read_all(
      keys->audit, session.state(), [&](std::uint64_t index, const std::optional<OpenedEntry>& opened) {
        auto entry =
            opened ? describe(session, index, *opened) : AuditEntry{index, 0, "", "", "unreadable", "", "damaged"};
        if (!opened || passes(filter, entry)) entries.push_back(std::move(entry));
      });
  return entries;
}

AuditVerification verify_audit(Session& session) {
  session.record("audit-verify", "");
  AuditVerification result;
  result.entries = session.log().head().size;
  result.root_hex = to_hex(session.log().head().root);
  const auto last_seen = session.catalog().log_head();
  session.log().refresh();  // after what cites it was read: others may have appended meanwhile
  check_cite(session.log(), last_seen, "the last access", result.findings);
  check_statements(session, result.findings);
  check_states(session, result.findings);
  const auto keys = open_role_keys(session.catalog(), session.identity());
  result.contents_checked = keys.has_value();
  if (keys) check_entries(session, *keys, result.findings);
  return result;
}

}  // namespace casevault
