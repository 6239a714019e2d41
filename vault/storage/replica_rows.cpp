#include "vault/storage/replica_rows.h"

#include "crypto/error.h"

namespace casevault {

std::vector<ReplicaRow> read_replicas(const Catalog& catalog) {
  auto query =
      catalog.database().prepare("SELECT target, label, number, manifest, time FROM replicas ORDER BY time DESC");
  std::vector<ReplicaRow> rows;
  while (query.step()) {
    if (query.blob_view(3).size() != 32)
      throw Error(Errc::kDamaged, "catalog.db: what it says of replicas is malformed");
    rows.push_back({query.text(0), query.text(1), static_cast<std::uint64_t>(query.integer(2)),
                    to_array<32>(query.blob_view(3)), query.integer(4)});
  }
  return rows;
}

void put_replica(Catalog& catalog, const ReplicaRow& row) {
  auto upsert = catalog.database().prepare(
      "INSERT INTO replicas(target, label, number, manifest, time) VALUES(?, ?, ?, ?, ?) ON CONFLICT(target) DO UPDATE "
      "SET label = excluded.label, number = excluded.number, manifest = excluded.manifest, time = excluded.time");
  upsert.bind(1, std::string_view(row.target))
      .bind(2, std::string_view(row.label))
      .bind(3, static_cast<std::int64_t>(row.number))
      .bind(4, ByteView(row.manifest))
      .bind(5, row.time_ms)
      .run();
}

}  // namespace casevault
