#include "vault/storage/chain.h"

namespace casevault {
namespace {

constexpr std::string_view kDomain = "casevault/v1/change";
constexpr ByteArray<1> kZero{};

Sha256Digest change_hash(const ChainHead& previous, std::string_view statement) {
  const auto digest = sha256(as_bytes(statement));
  return sha256({as_bytes(kDomain), kZero, previous.hash, be64(previous.count + 1), digest});
}

Bytes signed_message(const ChainScope& scope, const ChainHead& head) {
  return concat({scope, be64(head.count), head.hash});
}

Change change_from_row(const Statement& row, const std::string& where) {
  const auto signature = row.blob_view(2);
  const auto hash = row.blob_view(3);
  if (signature.size() != 64 || hash.size() != 32) {
    throw Error(Errc::kDamaged, where + ": a change of the chain is malformed");
  }
  return {static_cast<std::uint64_t>(row.integer(0)), row.text(1), to_array<64>(signature), to_array<32>(hash)};
}

}  // namespace

Change link_change(const ChainHead& previous, std::string statement, const Signature& signature) {
  const auto hash = change_hash(previous, statement);
  return {previous.count + 1, std::move(statement), signature, hash};
}

Change sign_change(const ChainScope& scope, const ChainHead& previous, std::string statement, const SigningKey& key) {
  auto change = link_change(previous, std::move(statement), {});
  change.signature = key.sign(kDomain, signed_message(scope, change.head()));
  return change;
}

bool verify_change(const ChainScope& scope, const Change& change, const VerifyKey& key) {
  return verify(key, kDomain, signed_message(scope, change.head()), change.signature);
}

ChainHead chain_head(const Database& database) {
  auto query = database.prepare("SELECT number, hash FROM changes ORDER BY number DESC LIMIT 1");
  if (!query.step()) return {};
  const auto hash = query.blob_view(1);
  if (hash.size() != 32)
    throw Error(Errc::kDamaged, database.path().filename().string() + ": the chain's head is malformed");
  return {static_cast<std::uint64_t>(query.integer(0)), to_array<32>(hash)};
}

std::vector<Change> read_chain(const Database& database, const ChainHead& after) {
  const std::string where = database.path().filename().string();
  auto query =
      database.prepare("SELECT number, statement, signature, hash FROM changes WHERE number > ? ORDER BY number");
  query.bind(1, static_cast<std::int64_t>(after.count));
  std::vector<Change> changes;
  ChainHead head = after;
  while (query.step()) {
    auto change = change_from_row(query, where);
    if (change.number != head.count + 1 || change.hash != change_hash(head, change.statement)) {
      throw Error(Errc::kDamaged, where + ": change " + std::to_string(head.count + 1) + " is missing or altered",
                  "casevault verify");
    }
    head = change.head();
    changes.push_back(std::move(change));
  }
  return changes;
}

std::optional<Sha256Digest> chain_hash_at(const Database& database, std::uint64_t number) {
  if (number == 0) return Sha256Digest{};
  auto query = database.prepare("SELECT hash FROM changes WHERE number = ?");
  query.bind(1, static_cast<std::int64_t>(number));
  if (!query.step() || query.blob_view(0).size() != 32) return std::nullopt;
  return to_array<32>(query.blob_view(0));
}

void append_change(const Database& database, const Change& change) {
  auto insert = database.prepare("INSERT INTO changes(number, statement, signature, hash) VALUES(?, ?, ?, ?)");
  insert.bind(1, static_cast<std::int64_t>(change.number)).bind(2, std::string_view(change.statement));
  insert.bind(3, ByteView(change.signature)).bind(4, ByteView(change.hash)).run();
}

}  // namespace casevault
