#include "vault/storage/case_check.h"

#include <set>

namespace casevault {
namespace {

struct RowCheck {
  const char* sql;  // counts what should not be there
  const char* meaning;
};
constexpr RowCheck kChecks[] = {
    {"SELECT count(*) FROM contents WHERE change NOT IN (SELECT change FROM versions)",
     "content that belongs to no version"},
    {"SELECT count(*) FROM texts WHERE change NOT IN (SELECT change FROM versions)", "text that belongs to no version"},
    {"SELECT count(*) FROM origins WHERE change NOT IN (SELECT change FROM versions)",
     "origins that belong to no version"},
    {"SELECT count(*) FROM certificates WHERE hash NOT IN (SELECT certificates FROM origins)",
     "certificates that belong to no origin"},
    {"SELECT count(*) FROM versions WHERE change NOT IN (SELECT number FROM changes)", "versions without a statement"},
    {"SELECT count(*) FROM meta WHERE key NOT IN ('case', 'body-names')", "settings that casevault does not know"},
};

std::int64_t count(const CaseStore& store, const char* sql) {
  auto query = store.database().prepare(sql);
  query.step();
  return query.integer(0);
}

/// Whether anything of a withdrawn version's details or content is still there.
bool left_over(const CaseStore& store, std::uint64_t change) {
  auto query = store.database().prepare(
      "SELECT EXISTS(SELECT 1 FROM versions WHERE change = ?1"
      " AND (details IS NOT NULL OR sha256 IS NOT NULL OR body IS NOT NULL OR file_key IS NOT NULL))"
      " OR EXISTS(SELECT 1 FROM contents WHERE change = ?1) OR EXISTS(SELECT 1 FROM texts WHERE change = ?1)"
      " OR EXISTS(SELECT 1 FROM origins WHERE change = ?1)");
  query.bind(1, static_cast<std::int64_t>(change));
  query.step();
  return query.integer(0) != 0;
}

}  // namespace

std::vector<std::string> check_case_rows(const CaseStore& store) {
  std::vector<std::string> findings;
  for (const auto& check : kChecks) {
    const auto found = count(store, check.sql);
    if (found != 0) findings.push_back(std::to_string(found) + " rows: " + check.meaning);
  }
  std::set<std::int64_t> stated;
  for (const auto& record : store.records()) {
    for (const auto& version : record.versions) {
      stated.insert(static_cast<std::int64_t>(version.change));
      if (record.withdrawal && left_over(store, version.change)) {
        findings.push_back(to_string(record.id) + " was withdrawn, but something of it is still there");
      }
    }
  }
  if (count(store, "SELECT count(*) FROM versions") != static_cast<std::int64_t>(stated.size())) {
    findings.emplace_back("versions that no statement tells of");
  }
  return findings;
}

}  // namespace casevault
