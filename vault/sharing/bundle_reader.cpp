#include "vault/sharing/bundle_reader.h"

#include "vault/text.h"

namespace casevault {
namespace {

[[noreturn]] void fail(const std::string& why) {
  throw Error(Errc::kDamaged, "the bundle is damaged or forged: " + why);
}

std::string shown(std::string_view path) { return "'" + escape_for_display(path) + "'"; }

/// Other tag files are for people. @throws Error{kDamaged} for fetch.txt, and manifests that nobody checks.
bool is_parsed(const std::string& path) {
  if (path == kBundlePath || path == kCheckpointPath || path.starts_with(kProofsFolder)) return true;
  return bag_part(path) != BagPart::kOtherTagFile;
}

File open_bundle(const Path& path) {
  std::error_code missing;
  auto file = File::open_for_reading(std::filesystem::canonical(path, missing));
  if (missing || !file) throw Error(Errc::kUsage, "there is no file " + path.string());
  return std::move(*file);
}

}  // namespace

struct BundleReader::State {
  State(const Path& path, std::span<const AgeIdentity> identities)
      : file(open_bundle(path)),
        input([this](std::span<std::byte> out) {
          const auto count = file.read_at(offset, out);
          offset += count;
          return count;
        }),
        age([this](std::span<std::byte> out) { return input.read(out); }, identities),
        tar([this](std::span<std::byte> out) { return age.read(out); }) {
    file.advise_sequential();
  }
  File file;
  std::uint64_t offset = 0;
  AgeInput input;
  AgeReader age;
  TarReader tar;
  std::uint64_t tag_bytes = 0;
};

BundleReader::BundleReader(const Path& path, std::span<const AgeIdentity> identities)
    : state_(std::make_unique<State>(path, identities)) {
  read_head();
}

BundleReader::~BundleReader() = default;

void BundleReader::read_head() {
  head_.tag_manifest = read_tag_file(std::string(kTagManifestPath));
  head_.id = sha256(as_bytes(head_.tag_manifest));
  head_.signature = read_tag_file(std::string(kTagSignaturePath));
  const auto tags = parse_manifest(ManifestKind::kTag, head_.tag_manifest);
  if (tags.size() > kMaxTagFiles) fail("it has too many tag files");
  bool has_declaration = false;
  for (const auto& entry : tags) {
    has_declaration = has_declaration || entry.path == kBagDeclarationPath;
    const auto is_of_use = is_parsed(entry.path);
    auto content = is_of_use ? read_tag_file(entry.path) : std::string();
    const auto digest = is_of_use ? sha256(as_bytes(content)) : skim_tag_file(entry.path);
    if (digest != entry.digest) fail(shown(entry.path) + " is not what the tag manifest says");
    if (is_of_use) keep(entry, std::move(content));
  }
  if (!has_declaration) fail("it has no bagit.txt");
}

std::uint64_t BundleReader::next_tag_file(const std::string& path, std::uint64_t max_size) {
  const auto member = state_->tar.next();
  if (!member || member->path != path)
    fail((member ? shown(member->path) + " stands where " : "it ends where ") + shown(path) + " should be");
  state_->tag_bytes += member->size;
  if (member->size > max_size || state_->tag_bytes > kMaxTagBytes) fail(shown(path) + " is too large");
  return member->size;
}

std::string BundleReader::read_tag_file(const std::string& path) {
  std::string content;
  content.reserve(next_tag_file(path, kMaxKeptFileSize));
  for (auto piece = state_->tar.read_piece(); !piece.empty(); piece = state_->tar.read_piece())
    content += as_text(piece);
  return content;
}

Sha256Digest BundleReader::skim_tag_file(const std::string& path) {
  next_tag_file(path, kMaxBundleFileSize);
  Sha256 hasher;
  for (auto piece = state_->tar.read_piece(); !piece.empty(); piece = state_->tar.read_piece()) hasher.update(piece);
  return hasher.finish();
}

void BundleReader::keep(const ManifestEntry& entry, std::string content) {
  if (entry.path == kBagDeclarationPath) {
    check_bag_declaration(content);
  } else if (entry.path == kBagInfoPath) {
    head_.info = parse_bag_info(content);
  } else if (entry.path == kManifestPath) {
    head_.payload = parse_manifest(ManifestKind::kPayload, content);
  } else if (entry.path == kBundlePath) {
    head_.bundle_json = std::move(content);
  } else if (entry.path == kCheckpointPath) {
    head_.checkpoint = std::move(content);
  } else {
    head_.proofs.push_back({entry.path, std::move(content)});
  }
}

TarReader::Member BundleReader::next(const ManifestEntry& expected) {
  auto member = state_->tar.next();
  if (!member) fail("it ends where " + shown(expected.path) + " should be");
  if (member->path != expected.path) fail(shown(member->path) + " stands where " + shown(expected.path) + " should be");
  return std::move(*member);
}

std::size_t BundleReader::read(std::span<std::byte> out) { return state_->tar.read(out); }

void BundleReader::finish() {
  if (const auto member = state_->tar.next()) fail(shown(member->path) + " is in no manifest");
}

}  // namespace casevault
