#include "vault/records/intake.h"

#include "vault/records/commit.h"
#include "vault/records/objects.h"
#include "vault/records/testimony.h"
#include "vault/text.h"

namespace casevault {
namespace {

/// Takes what the gatherer has read, and tells the observer.
class Intake {
 public:
  Intake(Session& session, const SourceList& list, const IntakeObserver& observer)
      : session_(session), list_(list), observer_(observer), total_bytes_(list.total_bytes()) {}

  using Commit = std::function<std::vector<Added>(Batch& batch)>;
  IntakeResult run(const OpenCase& open, VersionDetails base, const Commit& commit);

 private:
  void take(Gatherer& gatherer, const Commit& commit);
  void report(const std::vector<Added>& added);
  void report(const std::vector<SkippedFile>& skipped);
  void progress(const Gatherer& gatherer) const;

  Session& session_;
  const SourceList& list_;
  const IntakeObserver& observer_;
  std::uint64_t total_bytes_;
  IntakeResult result_;
};

IntakeResult Intake::run(const OpenCase& open, VersionDetails base, const Commit& commit) {
  report(list_.skipped());
  Gatherer gatherer(list_, session_.bodies(), open.store.body_name_key(), std::move(base));
  try {
    take(gatherer, commit);
  } catch (const Error& error) {
    if (result_.added == 0) throw;
    throw Error(error.code(), std::string(error.what()) + "; added before that: " + count_of_files(result_.added),
                error.hint());
  }
  return result_;
}

void Intake::take(Gatherer& gatherer, const Commit& commit) {
  const auto while_waiting = [&] {
    stop_if_interrupted(session_.environment());
    progress(gatherer);
  };
  while (auto batch = gatherer.next(while_waiting)) {
    stop_if_interrupted(session_.environment());
    report(batch->skipped);
    if (!batch->files.empty()) report(commit(*batch));
    progress(gatherer);
  }
}

void Intake::report(const std::vector<Added>& added) {
  for (const auto& file : added) {
    ++(file.already_there ? result_.already_there : result_.added);
    if (observer_.added) observer_.added(file);
  }
}

void Intake::report(const std::vector<SkippedFile>& skipped) {
  result_.skipped += skipped.size();
  for (const auto& file : skipped) {
    if (observer_.skipped) observer_.skipped(file.name, file.why);
  }
}

void Intake::progress(const Gatherer& gatherer) const {
  if (observer_.progress) observer_.progress(gatherer.done_bytes(), total_bytes_);
}

// @throws Error{kUsage} before anything is read, where it is not the files' fault.
VersionDetails base_details(const AddOptions& options) {
  VersionDetails base{.title = options.title, .tags = options.tags, .media_type = options.media_type};
  VersionDetails example = base;
  example.name = "file";
  if (example.media_type.empty()) example.media_type = "text/plain";
  if (const auto fault = find_fault(example)) throw Error(Errc::kUsage, *fault);
  return base;
}

[[noreturn]] void fail_skipped(const std::string& name, const std::string& why) {
  throw Error(Errc::kUsage, "'" + escape_for_display(name) + "' was not taken: " + why);
}

Added update_evidence(Session& session, OpenCase& open, const Version& newest, const SourceList& list,
                      const IntakeObserver& observer) {
  Committer committer(session, open, "update");
  std::optional<Added> result;
  IntakeObserver watch = observer;
  watch.skipped = fail_skipped;
  Intake(session, list, watch)
      .run(open, {.title = newest.details->title, .tags = newest.details->tags}, [&](Batch& batch) {
        result = committer.add_version(batch, newest);
        return std::vector<Added>{*result};
      });
  require(result.has_value(), "a file was neither added nor skipped");
  return *result;
}

}  // namespace

IntakeResult add_files(Session& session, std::int64_t case_number, const std::vector<Path>& paths,
                       const AddOptions& options, const IntakeObserver& observer) {
  const auto object = case_label(case_number);
  auto base = base_details(options);
  const auto list = SourceList::walk(paths, session.folder());
  auto open = open_case_for_adding(session, case_number, "add", object);
  session.record("add", object, "begun");
  remove_leftovers(session, open);
  Committer committer(session, open, "add");
  return Intake(session, list, observer).run(open, std::move(base), [&](Batch& batch) {
    return committer.add_records(batch, RecordKind::kEvidence);
  });
}

Added update_record(Session& session, const ObjectName& object, const Path& file, const IntakeObserver& observer) {
  const auto id = require_record(object);
  const auto list = SourceList::walk({file}, session.folder());
  if (!list.skipped().empty()) fail_skipped(list.skipped()[0].name, list.skipped()[0].why);
  if (list.files().size() != 1 || !list.files()[0].relative.empty())
    throw Error(Errc::kUsage, "a new version is one file");
  auto open = open_case_for_adding(session, object.case_number, "update", to_string(object));
  const auto record = find_record(open, id);
  if (record.withdrawal)
    throw Error(Errc::kUsage, to_string(object) + " was withdrawn on " + to_date(record.withdrawal->time_ms));
  check_version(session, open, record.newest());
  session.record("update", to_string(object), "begun");
  remove_leftovers(session, open);
  if (id.kind == RecordKind::kTestimony) return update_testimony(session, open, record.newest(), list);
  return update_evidence(session, open, record.newest(), list, observer);
}

}  // namespace casevault
