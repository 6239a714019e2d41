#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vault/sharing/bundle_reader.h"
#include "vault/sharing/receive.h"
#include "vault/storage/sharing_state.h"

namespace casevault {

/// Whose minisign key signed the bundle.
struct BundleSender {
  std::string name;  // of the contact, or that an unknown sender would get
  std::string age;
  std::string sign;
  const Contact* contact = nullptr;  // none: unknown, and accepted by --accept-sender
};

/// One record of a checked bundle.
struct CheckedRecord {
  ManifestEntry entry;
  std::uint64_t size = 0;          // bytes
  std::vector<Hop> hops;           // with the bundle's id in the last one: what goes into our vault
  std::optional<CheckedHop> last;  // what the sender signed; none for stock tools
};

/// A bundle that was read from front to back, and of which everything held that can be checked without the sender.
struct BundleFacts {
  BundleId id{};
  Sha256Digest tag_manifest{};  // the same as `id`, unless it was made by stock tools
  BundleSender sender;
  std::optional<CheckedBundle> bundle;  // none: made by stock tools
  std::vector<CheckedRecord> records;
  std::uint64_t payload_bytes = 0;
  std::size_t proofs = 0;
  std::vector<std::string> unchecked;
};

/// @throws as receive_bundle. Changes nothing. `progress` gets the payload bytes read.
BundleFacts check_bundle_file(const Session& session, const ReceiveRequest& request,
                              std::span<const AgeIdentity> identities,
                              const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace casevault
