#include "vault/records/commit.h"

#include <algorithm>
#include <map>

#include "vault/records/objects.h"
#include "vault/records/pack.h"
#include "vault/storage/case_rows.h"

namespace casevault {

std::vector<Added> Committer::add_records(Batch& batch, RecordKind kind) {
  ChainHead seen;
  {
    const Transaction lookup(open_.store.database());
    find_known(batch);
    seen = open_.store.head();
  }
  drop_known(batch, session_.bodies(), open_.store.body_name_key());
  std::vector<Added> added;
  std::vector<RecordId> new_records;
  write(batch, [&] {
    if (open_.store.head() != seen) find_known(batch);  // another process added something meanwhile
    Rows rows;
    std::vector<CaseStore::Place> places;
    for (std::int64_t next = open_.store.next_number(kind); const auto& file : batch.files) {
      const auto known = file.same_as ? std::optional(places[*file.same_as]) : file.known;
      const auto place = known.value_or(CaseStore::Place{{kind, next}, 1});
      places.push_back(place);
      added.push_back(report(file, place, known.has_value()));
      if (known) continue;
      ++next;
      new_records.push_back(place.record);
      rows.push_back({place.record, place.version, &file.prepared, batch.content_of(file)});
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
    return Rows{{place.record, place.version, &file.prepared, batch.content_of(file)}};
  });
  publish_case_head(session_, open_);
  session_.record(action_, record_label(open_.number, newest.record));
  return report(file, place, false);
}

// @pre in a transaction: each query would take and drop a lock.
void Committer::find_known(Batch& batch) {
  ContentFinder finder(open_.store);
  in_case(open_.number, [&] {
    std::map<Sha256Digest, std::size_t> first;
    for (std::size_t i = 0; i < batch.files.size(); ++i) {
      auto& file = batch.files[i];
      if (!file.may_be_known || file.known) continue;
      const auto [earlier, is_first] = first.emplace(file.sha256, i);
      if (is_first) {
        file.known = finder.find(file.sha256);
      } else {
        file.same_as = earlier->second;
      }
    }
  });
}

// A body is kept before the commit: should that fail, it is a leftover; should nobody know whether it failed, nothing
// is lost.
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
