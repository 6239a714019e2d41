#include "vault/records/commit.h"

#include "vault/records/objects.h"

namespace casevault {

std::vector<Added> Committer::add_records(Batch& batch, RecordKind kind) {
  drop_known_bodies(batch);
  std::vector<Added> added;
  std::vector<RecordId> new_records;
  write(batch, [&](CaseStore::Appender& appender) {
    std::int64_t next = open_.store.next_number(kind);
    for (auto& file : batch.files) {
      if (!file.known && file.may_be_known) file.known = appender.find_content(file.sha256);
      if (file.known) {
        added.push_back(report(file, file.known->record, file.known->version, true));
        continue;
      }
      const RecordId record{kind, next++};
      append(appender, batch, file, record, 1);
      new_records.push_back(record);
      added.push_back(report(file, record, 1, false));
    }
  });
  if (!new_records.empty()) {
    publish_case_head(session_, open_);
    session_.record(action_, object_ranges(open_.number, new_records));
  }
  return added;
}

Added Committer::add_version(Batch& batch, const Version& newest) {
  auto& file = batch.files.at(0);
  if (file.sha256 == newest.details->sha256) return report(file, newest.record, newest.number, true);
  const std::int64_t number = newest.number + 1;
  write(batch, [&](CaseStore::Appender& appender) {
    const auto now = open_.store.record(newest.record);
    if (!now || now->newest().number != newest.number) {
      throw Error(Errc::kBusy, record_label(open_.number, newest.record) + " got a new version from another process", "repeat the command");
    }
    append(appender, batch, file, newest.record, number);
  });
  publish_case_head(session_, open_);
  session_.record(action_, record_label(open_.number, newest.record));
  return report(file, newest.record, number, false);
}

// So that they need not be synced. Those that stay keep their order.
void Committer::drop_known_bodies(Batch& batch) {
  std::vector<BodyStore::Writer> kept;
  for (auto& file : batch.files) {
    if (!file.body) continue;
    if (file.may_be_known) file.known = open_.store.find_content(file.sha256);
    if (file.known) {
      file.body.reset();
      continue;
    }
    kept.push_back(std::move(batch.bodies[*file.body]));
    file.body = kept.size() - 1;
  }
  batch.bodies = std::move(kept);
}

void Committer::write(Batch& batch, const Write& write) {
  session_.bodies().sync_all(batch.bodies);
  const auto stamp = case_stamp(session_, open_);
  in_case(open_.number, [&] {
    Transaction transaction(open_.store.database());
    CaseStore::Appender appender(open_.store, stamp);
    write(appender);
    transaction.commit();
  });
}

// A body is kept from here on: should the commit fail, it is a leftover; should nobody know whether it failed, nothing is lost.
void Committer::append(CaseStore::Appender& appender, Batch& batch, ReadyFile& file, RecordId record, std::int64_t version) {
  BodyStore::Writer* body = file.body ? &batch.bodies[*file.body] : nullptr;
  appender.append(record, version, file.prepared, {file.content, body != nullptr ? &body->ref() : nullptr});
  if (body != nullptr) body->keep();
}

Added Committer::report(const ReadyFile& file, RecordId record, std::int64_t version, bool already_there) const {
  return {.object = record_label(open_.number, record),
          .version = version,
          .name = file.name,
          .size = file.size,
          .sha256 = file.sha256,
          .already_there = already_there};
}

void remove_leftovers(const Session& session, const OpenCase& open) {
  for (const auto& name : session.bodies().names_of(open.store.body_name_key())) {
    if (open.store.is_body_referenced(name)) continue;
    session.bodies().remove_leftover(name, [&] { return !open.store.is_body_referenced(name); });
  }
}

}  // namespace casevault
