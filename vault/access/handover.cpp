#include "vault/access/handover.h"

#include <algorithm>
#include <charconv>

#include "crypto/random.h"
#include "vault/storage/slots.h"

namespace casevault {
namespace {

// A box: magic ‖ vault ‖ user ‖ epoch ‖ catalogue key ‖ by ‖ signature.
constexpr std::string_view kMagic = "CVH1";
constexpr std::size_t kPlainSize = 4 + 16 + 16 + 4 + 32 + 16 + 64;
constexpr std::size_t kBoxSize = kPlainSize + kSealedBoxOverhead;
constexpr std::string_view kDomain = "casevault/v1/handover";
static_assert(kBoxSize * kSlotCount == kHandoverFileSize);

SecretBytes signed_part(const VaultId& vault, const UserId& user, std::uint32_t epoch, const CatalogKey& key, const UserId& by) {
  SecretBytes plain(kPlainSize);
  auto at = plain.expose_secret_for_writing().begin();
  at = std::ranges::copy(as_bytes(kMagic), at).out;
  at = std::ranges::copy(vault, at).out;
  at = std::ranges::copy(user, at).out;
  at = std::ranges::copy(be32(epoch), at).out;
  at = std::ranges::copy(key.expose_secret(), at).out;
  std::ranges::copy(by, at);
  return plain;
}

constexpr std::size_t kSignedSize = kPlainSize - 64;

Bytes box_for(const VaultId& vault, const UserKeys& user, std::uint32_t epoch, const CatalogKey& key, const Identity& owner) {
  auto plain = signed_part(vault, user.id, epoch, key, owner.id);
  const auto signature = owner.signing.sign(kDomain, plain.expose_secret().first(kSignedSize));
  std::ranges::copy(signature, plain.expose_secret_for_writing().begin() + kSignedSize);
  return seal_to(user.box, plain.expose_secret());
}

/// A box that nobody can open, not told apart from the others.
Bytes box_for_nobody() { return seal_to(BoxKeyPair::random().public_key, Bytes(kPlainSize)); }

}  // namespace

Bytes encode_handover(const VaultId& vault, const CatalogKey& key, std::uint32_t epoch, const Identity& owner,
                      const std::vector<UserKeys>& users) {
  std::vector<Bytes> boxes;
  for (const auto& user : users) boxes.push_back(box_for(vault, user, epoch, key, owner));
  while (boxes.size() < kSlotCount) boxes.push_back(box_for_nobody());
  for (std::size_t i = boxes.size(); i > 1; --i) {
    std::swap(boxes[i - 1], boxes[read_be64(random_array<8>()) % i]);
  }
  Bytes file;
  for (const auto& box : boxes) file.insert(file.end(), box.begin(), box.end());
  return file;
}

std::optional<HandedOver> find_handover(const VaultId& vault, ByteView file, const Identity& identity) {
  if (file.size() != kHandoverFileSize) return std::nullopt;
  for (std::size_t i = 0; i < kSlotCount; ++i) {
    const auto plain = open_sealed(identity.box, file.subspan(i * kBoxSize, kBoxSize));
    if (!plain) continue;
    const auto bytes = plain->expose_secret();
    if (as_text(bytes.first(4)) != kMagic || !std::ranges::equal(bytes.subspan(4, 16), vault) ||
        !std::ranges::equal(bytes.subspan(20, 16), identity.id)) {
      continue;
    }
    return HandedOver{CatalogKey::from_bytes(bytes.subspan<40, 32>()), read_be32(bytes.subspan<36, 4>()),
                      to_array<16>(bytes.subspan(72)), to_array<64>(bytes.subspan(88))};
  }
  return std::nullopt;
}

bool verify_handover(const VaultId& vault, const HandedOver& handed, const UserId& to, const VerifyKey& owner) {
  const auto plain = signed_part(vault, to, handed.epoch, handed.key, handed.by);
  return verify(owner, kDomain, plain.expose_secret().first(kSignedSize), handed.signature);
}

Path handover_path(const Path& folder, std::uint32_t epoch) { return folder / "handover" / std::to_string(epoch); }

std::vector<std::uint32_t> handover_epochs(const Path& folder) {
  std::vector<std::uint32_t> epochs;
  for (const auto& name : list_directory(folder / "handover")) {
    std::uint32_t epoch = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
    if (error == std::errc() && std::to_string(epoch) == name) epochs.push_back(epoch);
  }
  std::ranges::sort(epochs, std::greater());
  return epochs;
}

}  // namespace casevault
