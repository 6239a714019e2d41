#include "vault/custody/device.h"

#include "crypto/key_file.h"
#include "crypto/random.h"

namespace casevault {
namespace {

// The file: "CVM1" ‖ vault id(16) ‖ seed(32) ‖ name, up to its end.
constexpr std::string_view kMagic = "CVM1";
constexpr std::size_t kSeedAt = 4 + 16;
constexpr std::size_t kNameAt = kSeedAt + SigningSeed::kSize;
constexpr std::size_t kMaxName = 64;  // bytes, as is_valid_user_name has it

[[noreturn]] void fail(const Path& path) {
  throw Error(Errc::kDamaged, "the key of this machine is damaged: " + path.native(),
              "remove the file and enrol this machine anew: casevault custody enroll-device");
}

void make_directories(const Path& path) {
  if (std::filesystem::is_directory(path)) return;
  make_directories(path.parent_path());
  make_directory(path);
}

SigningSeed read_seed(const File& file) {
  std::uint64_t at = kSeedAt;
  auto seed = read_key<SigningSeed>([&](std::span<std::byte> out) {
    const auto size = file.read_at(at, out.first(std::min<std::size_t>(out.size(), kNameAt - at)));
    at += size;
    return size;
  });
  if (!seed) fail(file.path());
  return *std::move(seed);
}

Bytes read_exactly(const File& file, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  if (file.read_at(offset, bytes) != size) fail(file.path());
  return bytes;
}

void write_device(const Path& path, const VaultId& vault, const DeviceKey& device) {
  const Path partial = path.parent_path() / ("." + to_hex(random_array<8>()) + ".partial");
  File file = File::create_new(partial);
  try {
    file.write_at(0, concat({as_bytes(kMagic), vault}));
    write_key(device.key.seed(), [&](ByteView seed) { file.write_at(kSeedAt, seed); });
    file.write_at(kNameAt, as_bytes(device.name));
    file.sync();
    publish_file(partial, path);
  } catch (...) {
    remove_file(partial);
    throw;
  }
}

}  // namespace

Path device_file(const Environment& environment, const VaultId& vault) {
  if (environment.state_folder.empty()) {
    throw Error(Errc::kUsage, "there is no place for the key of this machine", "set HOME or XDG_STATE_HOME");
  }
  return environment.state_folder / "casevault" / to_hex(vault) / "device";
}

std::optional<DeviceKey> load_device(const Environment& environment, const VaultId& vault) {
  const auto file = File::open_for_reading(device_file(environment, vault));
  if (!file) return std::nullopt;
  const auto size = file->size();
  if (size <= kNameAt || size > kNameAt + kMaxName) fail(file->path());
  if (read_exactly(*file, 0, kSeedAt) != concat({as_bytes(kMagic), vault})) fail(file->path());
  const auto name = read_exactly(*file, kNameAt, size - kNameAt);
  if (!is_valid_user_name(as_text(name))) fail(file->path());
  return DeviceKey{std::string(as_text(name)), SigningKey::from_seed(read_seed(*file))};
}

DeviceKey create_device(const Environment& environment, const VaultId& vault, std::string name) {
  if (!is_valid_user_name(name)) throw Error(Errc::kUsage, "this cannot be the name of a machine");
  const auto path = device_file(environment, vault);
  DeviceKey device{std::move(name), SigningKey::random()};
  make_directories(path.parent_path());
  write_device(path, vault, device);
  return device;
}

DeviceKey ensure_device(const Environment& environment, const VaultId& vault, const std::string& name) {
  auto device = load_device(environment, vault);
  return device ? *std::move(device) : create_device(environment, vault, name);
}

DeviceKey ensure_device(const Environment& environment, const VaultId& vault) {
  return ensure_device(environment, vault, is_valid_user_name(environment.device) ? environment.device : "machine");
}

bool remove_device(const Environment& environment, const VaultId& vault) {
  const auto path = device_file(environment, vault);
  auto file = File::open_for_update(path);
  if (!file) return false;
  file->write_at(0, Bytes(file->size()));
  file->sync();
  return remove_file(path);
}

}  // namespace casevault
