#include "vault/access/handover.h"

#include <algorithm>
#include <charconv>

#include "crypto/key_half.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"
#include "vault/custody/shares.h"
#include "vault/storage/slots.h"

namespace casevault {
namespace {

// A box: magic ‖ vault ‖ user ‖ epoch ‖ catalogue key ‖ by ‖ signature.
constexpr std::string_view kMagic = "CVH1";
constexpr std::string_view kHalfMagic = "CVH2";  // the key is a half
constexpr std::size_t kPlainSize = 4 + 16 + 16 + 4 + 32 + 16 + 64;
constexpr std::size_t kBoxSize = kPlainSize + kSealedBoxOverhead;
constexpr std::string_view kDomain = "casevault/v1/handover";
static_assert(kBoxSize * kSlotCount == kHandoverFileSize);

constexpr std::size_t kSignedSize = kPlainSize - 64;

/// The pad of one epoch's key, and of nothing else.
CatalogKey masked(const CatalogKey& key, const VaultId& vault, std::uint32_t epoch, const CustodyShare& share) {
  return mask_key(key, share, "casevault/v1/handover-mask", concat({vault, be32(epoch)}));
}

SecretBytes signed_part(const VaultId& vault, const UserId& user, std::uint32_t epoch, const CatalogKey& key,
                        bool is_half, const UserId& by) {
  return SecretWriter(kSignedSize)
      .put(as_bytes(is_half ? kHalfMagic : kMagic))
      .put(vault)
      .put(user)
      .put(be32(epoch))
      .put(key)
      .put(by)
      .finish();
}

Bytes box_for(const VaultId& vault, const UserKeys& user, std::uint32_t epoch, const CatalogKey& key, bool is_half,
              const Identity& owner) {
  const auto part = signed_part(vault, user.id, epoch, key, is_half, owner.id);
  return seal_to(user.box, SecretWriter(kPlainSize).put(part).put(owner.signing.sign(kDomain, part)).finish());
}

/// nullopt when the box is for another vault or user.
std::optional<HandedOver> parse_box(const SecretBytes& plain, const VaultId& vault, const UserId& user) {
  SecretReader reader(plain);
  const auto magic = reader.take<4>();
  const bool is_half = as_text(magic) == kHalfMagic;
  if ((!is_half && as_text(magic) != kMagic) || reader.take<16>() != vault || reader.take<16>() != user)
    return std::nullopt;
  const auto epoch = read_be32(reader.take<4>());
  auto key = reader.take_key<CatalogKey>();
  const auto by = reader.take<16>();
  return HandedOver{std::move(key), is_half, epoch, by, reader.take<64>()};
}

/// A box that nobody can open, not told apart from the others.
Bytes box_for_nobody() { return seal_to(BoxKeyPair::random().public_key, Bytes(kPlainSize)); }

}  // namespace

Bytes encode_handover(const VaultId& vault, const CatalogKey& key, std::uint32_t epoch, const Identity& owner,
                      const std::vector<UserKeys>& users, Handing handing, const std::optional<UserKeys>& trustees) {
  const bool is_half = handing == Handing::kHalf;
  const auto handed =
      is_half ? masked(key, vault, epoch, custody_share(vault, handover_scalar(key, vault, epoch))) : key.clone();
  std::vector<Bytes> boxes;
  boxes.reserve(kSlotCount);
  for (const auto& user : users) boxes.push_back(box_for(vault, user, epoch, handed, is_half, owner));
  if (trustees) boxes.push_back(box_for(vault, *trustees, epoch, key, false, owner));
  while (boxes.size() < kSlotCount) boxes.push_back(box_for_nobody());
  for (std::size_t i = boxes.size(); i > 1; --i) {
    std::swap(boxes[i - 1], boxes[read_be64(random_array<8>()) % i]);
  }
  Bytes file;
  for (const auto& box : boxes) file.insert(file.end(), box.begin(), box.end());
  return file;
}

Scalar handover_scalar(const CatalogKey& key, const VaultId& vault, std::uint32_t epoch) {
  return reduce_to_scalar(derive_key<WideScalar>(key, "casevault/v1/handover-share", concat({vault, be32(epoch)})));
}

CatalogKey whole_key(const HandedOver& handed, const VaultId& vault, const CustodyShare& share) {
  return masked(handed.key, vault, handed.epoch, share);
}

std::optional<HandedOver> find_handover(const VaultId& vault, ByteView file, const Identity& identity) {
  if (file.size() != kHandoverFileSize) return std::nullopt;
  for (std::size_t i = 0; i < kSlotCount; ++i) {
    const auto plain = open_sealed(identity.box, file.subspan(i * kBoxSize, kBoxSize));
    auto handed = plain ? parse_box(*plain, vault, identity.id) : std::nullopt;
    if (handed) return handed;
  }
  return std::nullopt;
}

bool verify_handover(const VaultId& vault, const HandedOver& handed, const UserId& to, const VerifyKey& owner) {
  const auto part = signed_part(vault, to, handed.epoch, handed.key, handed.is_half, handed.by);
  return verify(owner, kDomain, part, handed.signature);
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
