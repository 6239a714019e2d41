#include "vault/custody/statement.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "crypto/error.h"
#include "crypto/merkle.h"
#include "crypto/signed_note.h"
#include "crypto/tlog_proof.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::chrono::seconds kStatementTimeout{30};
constexpr std::size_t kMaxPages = 1'000;
constexpr std::size_t kMaxPageEntries = 500;
constexpr std::int64_t kMaxCaseOnCard = 20'000;  // twice what a custodian keeps
const std::string kStatement = "a custodian's statement";

/// One page of a statement, checked.
struct Page {
  std::vector<CustodianLogEntry> entries;
  std::uint64_t next = 0;
  std::size_t cases = 0;
  std::uint32_t threshold = 0;
  std::string state;
};

/// What was asked for, and of whom.
struct Asked {
  VerifyKey custodian;
  VaultId vault;
  std::int64_t from_ms;
  std::int64_t until_ms;
};

CustodianLogEntry entry_from(const std::string& text, std::uint64_t index, const Asked& asked) {
  const auto object = parse_canonical(text, kStatement);
  Fields fields(object, kStatement);
  CustodianLogEntry entry{.action = fields.text("action"),
                          .at_ms = fields.time("at"),
                          .device = fields.text("device"),
                          .id = std::nullopt,
                          .index = index,
                          .outcome = fields.text("outcome")};
  fields.text("detail");
  const auto id = fields.text("id");
  if (!id.empty()) entry.id = array_from_hex<16>(id);
  const bool belongs = fields.count("index") == index && fields.hex<16>("vault") == asked.vault &&
                       entry.at_ms >= asked.from_ms && entry.at_ms <= asked.until_ms &&
                       id.empty() != entry.id.has_value();
  fields.end();
  if (!belongs) fields.fail();
  return entry;
}

std::vector<TreeHash> hashes_from(const nlohmann::json& list, const Fields& fields) {
  std::vector<TreeHash> hashes;
  for (const auto& item : list) {
    const auto hash = item.is_string() ? array_from_hex<32>(item.get<std::string>()) : std::nullopt;
    if (!hash) fields.fail();
    hashes.push_back(*hash);
  }
  return hashes;
}

CustodianLogEntry proven_entry(const nlohmann::json& object, const Checkpoint& head, const Asked& asked) {
  Fields fields(object, kStatement);
  const auto text = fields.text("entry");
  const auto index = fields.count("index");
  const auto proof = hashes_from(fields.list("proof", kMaxInclusionPath), fields);
  fields.end();
  if (!verify_inclusion(merkle_leaf_hash(as_bytes(text)), index, head.size, proof, head.root)) fields.fail();
  return entry_from(text, index, asked);
}

Checkpoint head_of(const std::string& note, const VerifyKey& custodian, const Fields& fields) {
  const auto head =
      verify_checkpoint(SignedNote::parse(note), NoteVerifier(custodian_log_origin(custodian), custodian));
  if (!head) fields.fail();
  return *head;
}

/// @throws Error{kDamaged} when anything of it does not hold.
Page page_from(const std::string& body, std::uint64_t first, const Asked& asked) {
  const auto signed_text = wire_statement_from_json(parse_canonical(body, kStatement), kStatementDomain, kStatement);
  const auto object = parse_canonical(signed_text.statement, kStatement);
  Fields fields(object, kStatement);
  const auto head = head_of(fields.text("checkpoint"), asked.custodian, fields);
  Page page;
  auto least = first;
  for (const auto& item : fields.list("entries", kMaxPageEntries)) {
    page.entries.push_back(proven_entry(item, head, asked));
    if (page.entries.back().index < least) fields.fail();
    least = page.entries.back().index + 1;
  }
  page.next = fields.count("next");
  bool holds = signed_text.by == asked.custodian && fields.text("kind") == "statement" &&
               fields.hex<16>("vault") == asked.vault && fields.count("first") == first &&
               fields.time("from") == asked.from_ms && fields.time("until") == asked.until_ms &&
               (page.next == 0 || (page.next >= least && page.next > first && page.next <= head.size));
  fields.hex<16>("nonce");
  fields.time("time");
  Fields secrets(fields.any("secrets"), kStatement);
  page.cases = secrets.count("case");
  secrets.count("user");
  secrets.end();
  page.state = fields.text("state");
  page.threshold = static_cast<std::uint32_t>(fields.count("threshold"));
  fields.end();
  holds = holds && page.threshold >= 1 && page.threshold <= kMaxCustodians &&
          (page.state == "active" || page.state == "locked" || page.state == "destroyed");
  if (!holds) fields.fail();
  return page;
}

}  // namespace

std::vector<CustodianStatement> ask_for_statements(AllCustodians& all, std::int64_t from_ms, std::int64_t until_ms,
                                                   const SigningKey& by) {
  require(from_ms >= 0 && until_ms >= 0, "custody: a statement from before 1970");
  std::vector<CustodianStatement> statements(all.size());
  std::vector<std::uint64_t> first(all.size());
  const auto request = [&](std::size_t i) {
    return all.get(i, "/v1/statement",
                   {{"first", first[i]},
                    {"from", static_cast<std::uint64_t>(from_ms)},
                    {"until", static_cast<std::uint64_t>(until_ms)}});
  };
  const auto take = [&](std::size_t i, const std::string& body) {
    auto page = page_from(body, first[i], {all.custodian(i).key, all.settings().vault, from_ms, until_ms});
    auto& statement = statements[i];
    std::ranges::move(page.entries, std::back_inserter(statement.entries));
    statement.cases = page.cases;
    statement.threshold = page.threshold;
    statement.state = page.state;
    statement.pages.push_back(body);
    first[i] = page.next;
    if (statement.pages.size() > kMaxPages) throw Error(Errc::kDamaged, kStatement + " does not end");
  };
  const auto more = [&](std::size_t i) { return first[i] == 0 ? std::nullopt : std::optional(request(i)); };
  const auto reports =
      all.ask({.request = request, .signer = &by, .take = take, .more = more, .total = kStatementTimeout});
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!reports[i].done()) statements[i] = {};  // a part of it would look like the whole
    statements[i].custodian = all.custodian(i);
    statements[i].fault = reports[i].done() ? "" : reports[i].reason;
  }
  return statements;
}

StatementNames names_on_card(const CustodySalt& salt) {
  std::map<CustodyId, std::int64_t> cases;
  for (std::int64_t number = 1; number <= kMaxCaseOnCard; ++number)
    cases[custody_id(salt, ScopeKind::kCase, "C-" + std::to_string(number))] = number;
  const auto find = [cases = std::move(cases)](const CustodyId& id) -> std::optional<std::int64_t> {
    const auto found = cases.find(id);
    return found == cases.end() ? std::nullopt : std::optional(found->second);
  };
  const auto object = [find, catalogue = custody_id(salt, ScopeKind::kUser, "")](const CustodyId& id) {
    const auto number = find(id);
    if (id == catalogue) return std::string("the catalogue");
    return number ? "C-" + std::to_string(*number) : to_hex(id).substr(0, 8);
  };
  return {object, find, [](const std::string& key) { return key.substr(0, 8); }};
}

CustodyStatement sum_up(const std::vector<CustodianStatement>& statements, const StatementNames& names,
                        std::uint32_t threshold) {
  CustodyStatement sum;
  std::map<std::int64_t, std::size_t> releases;  // custodians, by case
  std::uint32_t least = kMaxCustodians;
  for (const auto& statement : statements) {
    if (!statement.fault.empty()) {
      sum.silent.push_back(statement.custodian.name + " (" + statement.fault + ")");
      continue;
    }
    sum.answered.push_back(statement.custodian.name);
    sum.states.push_back(statement.state);
    sum.cases = std::max(sum.cases, statement.cases);
    least = std::min(least, statement.threshold);
    std::set<std::int64_t> released;
    for (const auto& entry : statement.entries) {
      const auto object = entry.id ? names.object(*entry.id) : std::string();
      const auto number = entry.id ? names.case_number(*entry.id) : std::nullopt;
      if (entry.action == "release" && entry.outcome == "ok" && number) released.insert(*number);
      sum.entries.push_back({entry.at_ms, statement.custodian.name, entry.action, object,
                             entry.device.empty() ? "" : names.device(entry.device), entry.outcome});
    }
    for (const auto number : released) ++releases[number];
  }
  const auto needed = threshold == 0 ? least : threshold;
  for (const auto& [number, count] : releases) {
    if (count + sum.silent.size() >= needed) sum.cases_released.push_back(number);
  }
  sum.enough = sum.answered.size() + needed > statements.size();
  std::ranges::stable_sort(sum.entries, {}, &StatementEntry::time_ms);
  return sum;
}

void write_statements(const Path& folder, const std::vector<CustodianStatement>& statements) {
  if (!make_directory(folder))
    throw Error(Errc::kUsage, "the folder for the statements is there already", "name a new one with --out DIR");
  for (std::size_t i = 0; i < statements.size(); ++i) {
    std::string lines;
    for (const auto& page : statements[i].pages) lines += page + "\n";
    if (lines.empty()) continue;
    const auto name = std::to_string(i + 1) + "-" + to_percent_encoded(statements[i].custodian.name) + ".jsonl";
    write_new_file(folder / name, as_bytes(lines));
  }
}

}  // namespace casevault
