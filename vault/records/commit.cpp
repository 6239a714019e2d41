#include "vault/records/commit.h"

#include <algorithm>
#include <map>

#include "vault/records/objects.h"
#include "vault/storage/case_rows.h"

namespace casevault {

std::vector<Added> Committer::add_records(Batch& batch, RecordKind kind) {
  drop_known_bodies(batch);
  std::vector<Added> added;
  std::vector<RecordId> new_records;
  write(batch, [&] {
    ContentFinder finder(open_.store);
    std::map<Sha256Digest, CaseStore::Place> in_batch;
    Rows rows;
    for (std::int64_t next = open_.store.next_number(kind); auto& file : batch.files) {
      const auto earlier = in_batch.find(file.sha256);
      if (file.may_be_known && earlier != in_batch.end()) file.known = earlier->second;
      if (file.may_be_known && !file.known) file.known = finder.find(file.sha256);
      const auto place = file.known.value_or(CaseStore::Place{{kind, next}, 1});
      added.push_back(report(file, place, file.known.has_value()));
      if (file.known) continue;
      ++next;
      in_batch.emplace(file.sha256, place);
      new_records.push_back(place.record);
      rows.push_back(row_of(batch, file, place));
    }
    return rows;
  });
  if (!new_records.empty()) {
    publish_case_head(session_, open_);
    session_.record(action_, object_ranges(open_.number, new_records));
  }
  return added;
}

Added Committer::add_version(Batch& batch, const Version& newest) {
  auto& file = batch.files.at(0);
  if (file.sha256 == newest.details->sha256) return report(file, {newest.record, newest.number}, true);
  const CaseStore::Place place{newest.record, newest.number + 1};
  write(batch, [&] {
    const auto now = open_.store.record(newest.record);
    if (!now || now->newest().number != newest.number) {
      throw Error(Errc::kBusy, record_label(open_.number, newest.record) + " got a new version from another process",
                  "repeat the command");
    }
    return Rows{row_of(batch, file, place)};
  });
  publish_case_head(session_, open_);
  session_.record(action_, record_label(open_.number, newest.record));
  return report(file, place, false);
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

// A body is kept before the commit: should that fail, it is a leftover; should nobody know whether it failed, nothing is
// lost.
void Committer::write(Batch& batch, const std::function<Rows()>& choose) {
  session_.bodies().sync_all(batch.bodies);
  in_case(open_.number, [&] {
    Transaction transaction(open_.store.database());
    const auto rows = choose();
    open_.store.append_versions(rows, case_stamp(session_, open_));
    for (auto& body : batch.bodies) {
      const auto uses = [&](const CaseStore::NewRow& row) { return row.content.body == &body.ref(); };
      if (std::ranges::any_of(rows, uses)) body.keep();
    }
    transaction.commit();
  });
}

CaseStore::NewRow Committer::row_of(const Batch& batch, const ReadyFile& file, const CaseStore::Place& place) {
  const BodyRef* body = file.body ? &batch.bodies[*file.body].ref() : nullptr;
  return {place.record, place.version, &file.prepared, {file.content, body}};
}

Added Committer::report(const ReadyFile& file, const CaseStore::Place& place, bool already_there) const {
  return {.object = record_label(open_.number, place.record),
          .version = place.version,
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
