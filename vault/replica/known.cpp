#include "vault/replica/known.h"

#include "crypto/error.h"
#include "vault/replica/store.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxSize = 4096;  // bytes

Path folder_of(const Environment& environment, const VaultId& vault) {
  return environment.state_folder / "casevault" / to_hex(vault);
}

}  // namespace

std::optional<KnownSnapshot> known_snapshot(const Environment& environment, const VaultId& vault) {
  if (environment.state_folder.empty()) return std::nullopt;
  try {
    const auto file = read_small_file(folder_of(environment, vault) / "replica", kMaxSize);
    if (!file) return std::nullopt;
    const auto parsed = parse_canonical(as_text(*file), "replica");
    Fields fields(parsed, "replica");
    const KnownSnapshot known{fields.count("number"), fields.count("log_size"), fields.time("time")};
    fields.end();
    return known;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void remember_snapshot(const Environment& environment, const Manifest& manifest, bool even_if_older) {
  if (environment.state_folder.empty()) return;
  const auto known = known_snapshot(environment, manifest.vault);
  if (!even_if_older && known && known->log_size >= manifest.log.size) return;
  const nlohmann::json fields = {
      {"number", manifest.number}, {"log_size", manifest.log.size}, {"time", manifest.time_ms}};
  const auto folder = folder_of(environment, manifest.vault);
  make_folders(folder);
  replace_file(folder / "replica", as_bytes(fields.dump()));
}

}  // namespace casevault
