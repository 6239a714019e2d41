#include "vault/records/pack.h"

#include <algorithm>

#include "vault/records/objects.h"

namespace casevault {
namespace {

bool can_be_packed(const ReadyFile& file) { return !file.body && !file.prepared.has_text && !file.content.empty(); }

// From memory to the end of the pack.
void move_to_pack(Batch& batch, ReadyFile& file) {
  auto& pack = batch.bodies[*batch.pack];
  file.body = batch.pack;
  file.body_offset = pack.size();
  pack.write(file.content);
  batch.held_bytes -= file.content.size();
  batch.loose_bytes -= file.content.size();
  batch.body_bytes += file.content.size();
  file.content = {};
}

void start_pack(Batch& batch, const BodyStore& bodies, const BodyNameKey& name_key) {
  batch.pack = batch.bodies.size();
  batch.bodies.push_back(bodies.create(name_key));
  for (auto& file : batch.files) {
    if (can_be_packed(file)) move_to_pack(batch, file);
  }
}

Bytes read_part(const BodyStore& bodies, const BodyRef& body, std::uint64_t size) {
  auto reader = bodies.open(body, size);
  Bytes content(size);
  require(reader.read_at(0, content) == size, "a content ended before its end");
  return content;
}

BodyRef part_of(const BodyStore::Writer& pack, std::uint64_t offset) {
  return {pack.ref().name, pack.ref().key.clone(), offset, pack.size()};
}

// Reads what is left of the pack back into memory, and packs it again where it is still much.
void repack(Batch& batch, const BodyStore& bodies, const BodyNameKey& name_key) {
  const auto old = *std::exchange(batch.pack, std::nullopt);
  std::vector<ReadyFile*> live;
  std::uint64_t live_bytes = 0;
  for (auto& file : batch.files) {
    if (file.body != old) continue;
    live.push_back(&file);
    live_bytes += file.size;
  }
  for (auto* file : live) {
    file->content = read_part(bodies, part_of(batch.bodies[old], file->body_offset), file->size);
    file->body.reset();
    batch.held_bytes += file->size;
    batch.loose_bytes += file->size;
    if (live_bytes <= kMaxLooseBytes) continue;
    if (!batch.pack) {
      batch.pack = batch.bodies.size();
      batch.bodies.push_back(bodies.create(name_key));
    }
    move_to_pack(batch, *file);
  }
  finish_pack(batch);
}

// The bodies that files still need, in their order.
void remove_unused_bodies(Batch& batch) {
  std::vector<BodyStore::Writer> kept;
  std::vector<std::optional<std::size_t>> places(batch.bodies.size());
  for (auto& file : batch.files) {
    if (!file.body) continue;
    auto& place = places[*file.body];
    if (!place) {
      place = kept.size();
      kept.push_back(std::move(batch.bodies[*file.body]));
    }
  }
  for (auto& file : batch.files) {
    if (file.body) file.body = places[*file.body];
  }
  if (batch.pack) batch.pack = places[*batch.pack];
  batch.bodies = std::move(kept);
}

}  // namespace

void place_content(Batch& batch, ReadyFile& file, Bytes content, const BodyStore& bodies, const BodyNameKey& name_key) {
  file.content = std::move(content);
  batch.held_bytes += file.content.size();
  if (!can_be_packed(file)) return;
  batch.loose_bytes += file.content.size();
  if (!batch.pack && batch.loose_bytes > kMaxLooseBytes) start_pack(batch, bodies, name_key);
  if (batch.pack) move_to_pack(batch, file);
}

void finish_pack(Batch& batch) {
  if (batch.pack) batch.bodies[*batch.pack].finish();
}

void drop_known(Batch& batch, const BodyStore& bodies, const BodyNameKey& name_key) {
  bool is_pack_whole = true;
  for (auto& file : batch.files) {
    if (!file.is_known() || !file.body) continue;
    if (file.body == batch.pack) is_pack_whole = false;
    file.body.reset();
  }
  if (!is_pack_whole) repack(batch, bodies, name_key);
  remove_unused_bodies(batch);
}

void separate_from(const Session& session, OpenCase& open, RecordId record) {
  const auto parts = in_case(open.number, [&] { return open.store.neighbours_of(record); });
  if (parts.empty()) return;
  auto pack = session.bodies().create(open.store.body_name_key());
  std::vector<std::uint64_t> offsets;
  for (const auto& part : parts) {
    stop_if_interrupted(session.environment());
    offsets.push_back(pack.size());
    pack.write(read_part(session.bodies(), part.body, part.size));
  }
  pack.finish();
  session.bodies().sync_all({&pack, 1});
  Transaction transaction(open.store.database());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    open.store.move_content(parts[i].change, {{}, &pack.ref(), offsets[i], pack.size()});
  }
  pack.keep();
  transaction.commit();
}

}  // namespace casevault
