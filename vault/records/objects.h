#pragma once
#include <optional>
#include <string>
#include <vector>

#include "vault/access/case_access.h"
#include "vault/records/record.h"

namespace casevault {

std::string case_label(std::int64_t case_number);                     // "C-1"
std::string record_label(std::int64_t case_number, RecordId record);  // "C-1/E-3"

/// For the audit log: in order, runs drawn together, "C-1/E-3..E-90, C-1/T-1"; the case alone where there are none.
std::string object_ranges(std::int64_t case_number, std::vector<RecordId> records);

/// The objects of an audit entry, as object_ranges and the like put them together.
std::vector<std::string> split_object_list(std::string_view objects);
/// Records of one case and kind, from the first to the last.
struct RecordRun {
  std::int64_t case_number = 0;
  RecordId first;
  RecordId last;
  bool holds(std::int64_t number, RecordId record) const {
    return number == case_number && first <= record && record <= last && record.kind == first.kind;
  }
};
/// The records among them.
std::vector<RecordRun> record_runs(std::string_view objects);

/// "2026-03-04", UTC, of Unix milliseconds.
std::string to_date(std::int64_t time_ms);

/// "1 file", "2 files"
std::string count_of_files(std::size_t count);

/// The record of an object name. @throws Error{kUsage} when it names a case alone.
RecordId require_record(const ObjectName& object);

/// The record in an open case. @throws Error{kNotFound}
Record find_record(const OpenCase& open, RecordId id);
/// Its newest version, or the one asked for. @throws Error{kNotFound}, also for what was withdrawn.
const Version& find_version(const OpenCase& open, const Record& record, std::optional<std::int64_t> number);
/// The signature and the right of whoever added each version and withdrew the record. @throws Error{kDamaged}
void check_version(const Session& session, const OpenCase& open, const Version& version);
void check_versions(const Session& session, const OpenCase& open, const Record& record);

/// Runs `work`; damage that it names by record alone is named with the case.
template <typename Work>
auto in_case(std::int64_t case_number, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string what = error.what();
    const bool names_record = what.starts_with("E-") || what.starts_with("T-");
    if (error.code() != Errc::kDamaged || !names_record) throw;
    throw Error(error.code(), case_label(case_number) + "/" + what, error.hint());
  }
}

}  // namespace casevault
