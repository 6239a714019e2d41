#include "vault/records/objects.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace casevault {
namespace {

std::string run_label(std::int64_t case_number, RecordId first, RecordId last) {
  const auto label = record_label(case_number, first);
  return first == last ? label : label + ".." + to_string(last);
}

}  // namespace

std::string case_label(std::int64_t case_number) { return to_string(ObjectName{case_number, std::nullopt}); }
std::string record_label(std::int64_t case_number, RecordId record) {
  return to_string(ObjectName{case_number, record});
}

std::string object_ranges(std::int64_t case_number, std::vector<RecordId> records) {
  if (records.empty()) return case_label(case_number);
  std::ranges::sort(records);
  records.erase(std::unique(records.begin(), records.end()), records.end());
  std::string text;
  for (std::size_t first = 0, last = 0; first < records.size(); first = ++last) {
    while (last + 1 < records.size() && records[last + 1] == RecordId{records[first].kind, records[last].number + 1})
      ++last;
    text += (text.empty() ? "" : ", ") + run_label(case_number, records[first], records[last]);
  }
  return text;
}

std::vector<std::string> split_object_list(std::string_view objects) {
  constexpr std::string_view kSeparator = ", ";
  std::vector<std::string> names;
  while (!objects.empty()) {
    const auto end = std::min(objects.find(kSeparator), objects.size());
    names.emplace_back(objects.substr(0, end));
    objects.remove_prefix(std::min(end + kSeparator.size(), objects.size()));
  }
  return names;
}

std::vector<RecordRun> record_runs(std::string_view objects) {
  std::vector<RecordRun> runs;
  for (const auto& name : split_object_list(objects)) {
    const auto dots = name.find("..");
    const auto first = parse_object_name(name.substr(0, dots));
    if (!first || !first->record) continue;
    const auto last = dots == std::string::npos
                          ? first
                          : parse_object_name(case_label(first->case_number) + "/" + name.substr(dots + 2));
    if (last && last->record) runs.push_back({first->case_number, *first->record, *last->record});
  }
  return runs;
}

std::string to_date(std::int64_t time_ms) {
  using namespace std::chrono;
  const year_month_day day(floor<days>(sys_time<milliseconds>(milliseconds(time_ms))));
  char text[32];
  static_cast<void>(std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(day.year()),
                                  static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day())));
  return text;
}

std::string count_of_files(std::size_t count) { return std::to_string(count) + (count == 1 ? " file" : " files"); }

RecordId require_record(const ObjectName& object) {
  if (!object.record)
    throw Error(Errc::kUsage, to_string(object) + " is a case; a record is called " + to_string(object) + "/E-1");
  return *object.record;
}

Record find_record(const OpenCase& open, RecordId id) {
  auto record = in_case(open.number, [&] { return open.store.record(id); });
  if (!record)
    throw Error(Errc::kNotFound, "there is no record " + record_label(open.number, id),
                "casevault list " + case_label(open.number));
  return std::move(*record);
}

const Version& find_version(const OpenCase& open, const Record& record, std::optional<std::int64_t> number) {
  const auto label = record_label(open.number, record.id);
  if (record.withdrawal)
    throw Error(Errc::kNotFound, label + " was withdrawn on " + to_date(record.withdrawal->time_ms));
  if (!number) return record.newest();
  const auto found = std::ranges::find(record.versions, *number, &Version::number);
  if (found != record.versions.end()) return *found;
  throw Error(Errc::kNotFound, label + " has no version " + std::to_string(*number), "casevault history " + label);
}

void check_version(const Session& session, const OpenCase& open, const Version& version) {
  check_case_change(session.state(), open.store, open.store.change(version.change),
                    record_label(open.number, version.record));
}

void check_versions(const Session& session, const OpenCase& open, const Record& record) {
  for (const auto& version : record.versions) check_version(session, open, version);
  if (!record.withdrawal) return;
  check_case_change(session.state(), open.store, open.store.change(record.withdrawal->change),
                    record_label(open.number, record.id));
}

}  // namespace casevault
