#include <algorithm>
#include <iterator>

#include "vault/records/objects.h"
#include "vault/records/reading.h"

namespace casevault {
namespace {

std::vector<std::int64_t> readable_cases(const Session& session) {
  std::vector<std::int64_t> numbers;
  for (const auto& [number, entry] : session.state().cases()) {
    if (session.state().grant_of(entry, session.user_id()) != nullptr) numbers.push_back(number);
  }
  return numbers;
}

std::vector<Hit> search_case(Session& session, std::int64_t number, const std::string& query, std::string& objects) {
  const auto open = open_case(session, number, Right::kRead, "search", case_label(number));
  std::vector<Hit> hits;
  std::vector<RecordId> ids;
  for (auto& version : in_case(number, [&] { return open.store.search(query); })) {
    check_version(session, open, version);
    ids.push_back(version.record);
    hits.push_back({record_label(number, version.record), std::move(version)});
  }
  if (!ids.empty()) objects += (objects.empty() ? "" : ", ") + object_ranges(number, ids);
  return hits;
}

}  // namespace

std::vector<Hit> search_records(Session& session, const std::string& query, std::int64_t case_number) {
  CaseStore::require_query(query);
  const auto cases = case_number != 0 ? std::vector{case_number} : readable_cases(session);
  std::vector<Hit> hits;
  std::string objects;
  for (const auto number : cases) {
    stop_if_interrupted(session.environment());
    auto found = search_case(session, number, query, objects);
    std::ranges::move(found, std::back_inserter(hits));
  }
  if (objects.empty() && case_number != 0) objects = case_label(case_number);
  session.record("search", objects);
  return hits;
}

}  // namespace casevault
