// The tag files of a bag. The first byte says which; what parses is written in our form, and that parses to the same.
#include "crypto/error.h"
#include "tests/support/fuzz.h"
#include "vault/sharing/bag.h"

namespace {

using namespace casevault;

void try_manifest(ManifestKind kind, std::string_view text) {
  const auto entries = parse_manifest(kind, text);
  const std::string encoded = encode_manifest(kind, entries);
  test::check(parse_manifest(kind, encoded) == entries, "a manifest that was written reads the same");
  for (const auto& entry : entries) {
    test::check(!find_path_fault(entry.path), "paths in manifests are sound");
    test::check((bag_part(entry.path) == BagPart::kPayload) == (kind == ManifestKind::kPayload),
                "payload and tags are told apart");
  }
}

void try_info(std::string_view text) {
  const auto elements = parse_bag_info(text);
  test::check(parse_bag_info(encode_bag_info(elements)) == elements, "metadata that was written reads the same");
}

void try_names(std::string_view text) {
  const bool sound = !find_path_fault(text);
  PathSet set;
  test::check(set.add_file(text).has_value() == !sound, "a sound path can be added");
  if (!sound) return;
  test::check(nfc(text) == text, "a sound path is in NFC");
  test::check(set.add_file(text).has_value(), "but not twice");
  test::check(case_fold(case_fold(text)) == case_fold(text), "folding twice is folding once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 5) {
      case 0:
        try_manifest(ManifestKind::kPayload, text);
        break;
      case 1:
        try_manifest(ManifestKind::kTag, text);
        break;
      case 2:
        try_info(text);
        break;
      case 3:
        check_bag_declaration(text);
        break;
      default:
        try_names(text);
    }
  } catch (const Error& error) {
    test::check(error.code() == Errc::kDamaged, "what is refused is damaged");
  }
  return 0;
}
