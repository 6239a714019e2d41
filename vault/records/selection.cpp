#include "vault/records/selection.h"

#include "vault/records/objects.h"

namespace casevault {

Selection::Selection(Session& session, const std::vector<ObjectName>& objects, std::string_view action) {
  std::map<std::int64_t, Wanted> wanted;
  for (const auto& object : objects) {
    auto& entry = wanted[object.case_number];
    object.record ? void(entry.records.insert(*object.record)) : void(entry.all = true);
  }
  for (const auto& [number, entry] : wanted) add_case(session, number, entry, action);
}

void Selection::add_case(Session& session, std::int64_t number, const Wanted& wanted, std::string_view action) {
  const auto object =
      wanted.all ? case_label(number) : object_ranges(number, {wanted.records.begin(), wanted.records.end()});
  const auto& open = cases_.emplace(number, open_case(session, number, Right::kRead, action, object)).first->second;
  std::set<RecordId> missing = wanted.records;
  for (const auto& record : in_case(number, [&] { return open.store.records(); })) {
    const bool named = missing.erase(record.id) > 0;
    if (!named && (!wanted.all || record.withdrawal)) continue;
    const auto& version = find_version(open, record, std::nullopt);
    check_version(session, open, version);
    items_.push_back({&open, version});
  }
  if (!missing.empty()) find_record(open, *missing.begin());  // says that there is none
}

std::string Selection::objects() const {
  std::string text;
  for (const auto& [number, open] : cases_) {
    std::vector<RecordId> ids;
    for (const auto& item : items_) {
      if (item.open == &open) ids.push_back(item.version.record);
    }
    text += (text.empty() ? "" : ", ") + object_ranges(number, ids);
  }
  return text;
}

std::uint64_t Selection::total_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& item : items_) sum += item.version.details->size;
  return sum;
}

}  // namespace casevault
