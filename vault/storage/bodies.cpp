#include "vault/storage/bodies.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <utility>

#include "crypto/kdf.h"
#include "crypto/random.h"
#include "vault/storage/layout.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMarkSize = 8;                // bytes: half of a name is random, the other half its mark
constexpr std::size_t kNameSize = 4 * kMarkSize;    // hexadecimal digits
constexpr std::size_t kBatchChunks = 16;            // read and written at once: 1 MiB
constexpr std::size_t kManyBodies = 3;              // from here on one sync of the file system is fewer
constexpr std::uint64_t kMaxBodySize = 1ull << 62;  // bytes: keeps all sums within 64 bits

using Mark = ByteArray<kMarkSize>;

Mark mark_of(const BodyNameKey& key, const Mark& random) {
  ByteArray<16> digest;
  derive_bytes(key, "casevault/v1/body-name", random, digest);
  return to_array<kMarkSize>(digest);
}

std::string random_name(const BodyNameKey& key) {
  const auto random = random_array<kMarkSize>();
  return to_hex(random) + to_hex(mark_of(key, random));
}

bool is_body_name(std::string_view name) { return name.size() == kNameSize && from_hex(name).has_value(); }

bool is_marked(std::string_view name, const BodyNameKey& key) {
  const auto bytes = array_from_hex<2 * kMarkSize>(name);
  if (!bytes) return false;
  const ByteView view(*bytes);
  return equal_constant_time(mark_of(key, to_array<kMarkSize>(view)), view.subspan(kMarkSize));
}

bool is_folder_name(std::string_view name) { return name.size() == 2 && from_hex(name).has_value(); }

std::filesystem::file_type type_of(const Path& path) {
  std::error_code error;
  return std::filesystem::symlink_status(path, error).type();
}

[[noreturn]] void fail_damaged(const std::string& name, const char* complaint) {
  throw Error(Errc::kDamaged, "body " + escape_for_display(name) + " " + complaint);
}

void wipe(Bytes& bytes) {
  if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
}

std::uint64_t whole_size_of(const BodyRef& ref, std::uint64_t content_size) {
  return ref.whole_size != 0 ? ref.whole_size : content_size;
}

constexpr std::uint64_t sealed_offset(std::uint64_t chunk) { return kPayloadNonceSize + chunk * kSealedChunkSize; }

}  // namespace

std::uint64_t padme(std::uint64_t size) {
  if (size < 2) return size;
  const int exponent = std::bit_width(size) - 1;                              // E = floor(log2 L)
  const int exponent_bits = std::bit_width(static_cast<unsigned>(exponent));  // S = floor(log2 E) + 1
  const std::uint64_t mask = (1ull << (exponent - exponent_bits)) - 1;        // the last E - S bits become zero
  return (size + mask) & ~mask;
}

/// Holds the end of the content back until it is known whether more follows: a chunk is sealed as the last one or not.
struct BodyStore::Writer::State {
  State(File new_file, BodyRef new_ref, const PayloadNonce& nonce)
      : file(std::move(new_file)), ref(std::move(new_ref)), cipher(payload_key(ref.key, nonce)) {
    pending.reserve(kChunkSize);
    sealed.reserve(sealed_offset(kBatchChunks));
    sealed.assign(nonce.begin(), nonce.end());
  }
  ~State() {
    wipe(pending);
    if (kept) return;
    try {
      remove_file(file.path());
    } catch (const Error&) {
      // It stays as a leftover, which the next `add` removes.
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void append(ByteView plaintext);
  void append_zeros(std::uint64_t count);
  void seal_chunk(ByteView plaintext, bool last);
  void flush();

  File file;
  BodyRef ref;
  ChunkCipher cipher;
  Bytes pending;              // plaintext, up to one chunk
  Bytes sealed;               // not yet written
  std::uint64_t written = 0;  // bytes
  std::uint64_t chunks = 0;   // sealed so far
  std::uint64_t size = 0;     // plaintext without padding
  bool finished = false;
  bool kept = false;
};

void BodyStore::Writer::State::append(ByteView plaintext) {
  while (!plaintext.empty()) {
    // Something follows, so what fills a chunk is not the last one.
    if (pending.size() == kChunkSize) {
      seal_chunk(pending, false);
      pending.clear();
    }
    if (pending.empty() && plaintext.size() > kChunkSize) {
      seal_chunk(plaintext.first(kChunkSize), false);
      plaintext = plaintext.subspan(kChunkSize);
      continue;
    }
    const std::size_t taken = std::min(plaintext.size(), kChunkSize - pending.size());
    pending.insert(pending.end(), plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(taken));
    plaintext = plaintext.subspan(taken);
  }
}

void BodyStore::Writer::State::append_zeros(std::uint64_t count) {
  const Bytes zeros(std::min<std::uint64_t>(count, 4 * kChunkSize));
  while (count > 0) {
    const std::size_t taken = std::min<std::uint64_t>(count, zeros.size());
    append(ByteView(zeros).first(taken));
    count -= taken;
  }
}

void BodyStore::Writer::State::seal_chunk(ByteView plaintext, bool last) {
  const std::size_t start = sealed.size();
  sealed.resize(start + plaintext.size() + kChunkTagSize);
  cipher.seal(chunks, last, plaintext, std::span(sealed).subspan(start));
  ++chunks;
  if (last || chunks % kBatchChunks == 0) flush();
}

void BodyStore::Writer::State::flush() {
  file.write_at(written, sealed);
  file.start_writeback(written, sealed.size());
  written += sealed.size();
  sealed.clear();
}

BodyStore::Writer::Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}
BodyStore::Writer::Writer(Writer&&) noexcept = default;
BodyStore::Writer& BodyStore::Writer::operator=(Writer&&) noexcept = default;
BodyStore::Writer::~Writer() = default;

void BodyStore::Writer::write(ByteView plaintext) {
  require(!state_->finished, "a body was written to after its end");
  if (plaintext.size() > kMaxBodySize - state_->size) throw Error(Errc::kUsage, "the content is too long for a body");
  state_->append(plaintext);
  state_->size += plaintext.size();
}

void BodyStore::Writer::finish() {
  require(!state_->finished, "a body was finished twice");
  state_->append_zeros(padme(state_->size) - state_->size);
  state_->seal_chunk(state_->pending, true);
  state_->finished = true;
}

void BodyStore::Writer::sync() {
  require(state_->finished, "a body was synced before its end");
  state_->file.sync();
}

const BodyRef& BodyStore::Writer::ref() const { return state_->ref; }
std::uint64_t BodyStore::Writer::size() const { return state_->size; }
void BodyStore::Writer::keep() { state_->kept = true; }

BodyStore::Writer BodyStore::create(const BodyNameKey& name_key) const {
  for (;;) {
    const std::string name = random_name(name_key);
    const Path path = path_of(name);
    make_directory(path.parent_path());
    File file = File::create_new(path);
    // Somebody who clears up leftovers may have come in between and have it locked, or removed: then it is left to
    // them.
    if (!file.try_lock(File::Lock::kExclusive) || !file.is_linked()) continue;
    return Writer(std::make_unique<Writer::State>(std::move(file), BodyRef{name, FileKey::random(), 0, 0},
                                                  random_array<kPayloadNonceSize>()));
  }
}

// The folder of folders is synced as well: another process may have made the inner folder and not have synced it yet.
void BodyStore::sync_all(std::span<Writer> writers) const {
  if (writers.empty()) return;
  for (const Writer& writer : writers) require(writer.state_->finished, "a body was synced before its end");
  if (writers.size() >= kManyBodies) {
    sync_file_system(folder_);
    for (Writer& writer : writers) writer.state_->file.check_writeback();
    return;
  }
  std::set<Path> folders{folder_};
  for (Writer& writer : writers) {
    writer.sync();
    folders.insert(writer.state_->file.path().parent_path());
  }
  for (const Path& folder : folders) sync_directory(folder);
}

struct BodyStore::Reader::State {
  State(File new_file, const BodyRef& ref, const PayloadNonce& nonce, std::uint64_t content_size)
      : file(std::move(new_file)),
        name(ref.name),
        cipher(payload_key(ref.key, nonce)),
        offset(ref.offset),
        size(content_size),
        whole_size(whole_size_of(ref, content_size)),
        padded_size(padme(whole_size)),
        chunk_count(padded_size == 0 ? 1 : (padded_size - 1) / kChunkSize + 1) {}
  ~State() { wipe(plain); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::size_t plain_size(std::uint64_t chunk) const {
    return chunk + 1 < chunk_count ? kChunkSize : static_cast<std::size_t>(padded_size - chunk * kChunkSize);
  }
  ByteView sealed_chunk(std::uint64_t chunk, std::size_t wanted);
  void open_chunk(std::uint64_t chunk, std::size_t wanted, std::span<std::byte> out);
  ByteView cached_chunk(std::uint64_t chunk, std::size_t wanted);

  File file;
  std::string name;
  ChunkCipher cipher;
  std::uint64_t offset;       // where the content begins
  std::uint64_t size;         // content
  std::uint64_t whole_size;   // all contents
  std::uint64_t padded_size;  // what is sealed
  std::uint64_t chunk_count;
  Bytes sealed;  // chunks first_sealed … first_sealed + sealed_count - 1, as read
  std::uint64_t first_sealed = 0;
  std::uint64_t sealed_count = 0;
  Bytes plain;  // chunk cached, where there is one
  std::optional<std::uint64_t> cached;
};

// The chunk as it stands in the file. Reads `wanted` chunks, or a whole batch where it goes on from what was read last.
ByteView BodyStore::Reader::State::sealed_chunk(std::uint64_t chunk, std::size_t wanted) {
  if (chunk < first_sealed || chunk >= first_sealed + sealed_count) {
    const bool goes_on = chunk == first_sealed + sealed_count;  // also true for the very first chunk
    const std::uint64_t count = std::min<std::uint64_t>(
        goes_on ? kBatchChunks : std::clamp<std::size_t>(wanted, 1, kBatchChunks), chunk_count - chunk);
    const std::uint64_t last = chunk + count - 1;
    sealed_count = 0;  // nothing to be found there if reading fails
    sealed.resize((count - 1) * kSealedChunkSize + plain_size(last) + kChunkTagSize);
    if (file.read_at(sealed_offset(chunk), sealed) != sealed.size())
      fail_damaged(name, "is shorter than its record says");
    first_sealed = chunk;
    sealed_count = count;
  }
  return ByteView(sealed).subspan((chunk - first_sealed) * kSealedChunkSize, plain_size(chunk) + kChunkTagSize);
}

void BodyStore::Reader::State::open_chunk(std::uint64_t chunk, std::size_t wanted, std::span<std::byte> out) {
  if (cipher.open(chunk, chunk + 1 == chunk_count, sealed_chunk(chunk, wanted), out)) return;
  fail_damaged(name, "is damaged or forged");
}

ByteView BodyStore::Reader::State::cached_chunk(std::uint64_t chunk, std::size_t wanted) {
  if (cached != chunk) {
    cached.reset();
    plain.resize(plain_size(chunk));
    open_chunk(chunk, wanted, plain);
    cached = chunk;
  }
  return plain;
}

BodyStore::Reader::Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
BodyStore::Reader::Reader(Reader&&) noexcept = default;
BodyStore::Reader& BodyStore::Reader::operator=(Reader&&) noexcept = default;
BodyStore::Reader::~Reader() = default;

std::uint64_t BodyStore::Reader::size() const { return state_->size; }

std::size_t BodyStore::Reader::read_at(std::uint64_t offset, std::span<std::byte> out) {
  if (offset >= state_->size) return 0;
  out = out.first(std::min<std::uint64_t>(out.size(), state_->size - offset));
  offset += state_->offset;
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t chunk = (offset + done) / kChunkSize;
    const std::size_t start = (offset + done) % kChunkSize;
    const auto rest = out.subspan(done);
    const std::size_t wanted = (start + rest.size() - 1) / kChunkSize + 1;  // chunks
    const std::size_t whole = state_->plain_size(chunk);
    if (start == 0 && rest.size() >= whole && state_->cached != chunk) {
      state_->open_chunk(chunk, wanted, rest.first(whole));  // straight to its place
      done += whole;
    } else {
      const ByteView part = state_->cached_chunk(chunk, wanted).subspan(start);
      const std::size_t taken = std::min(part.size(), rest.size());
      copy_bytes(part.first(taken), rest);
      done += taken;
    }
  }
  return done;
}

void BodyStore::Reader::check_padding() {
  const std::uint64_t end = state_->whole_size;
  if (state_->offset + state_->size != end) return;
  // At least the last chunk, which is empty where the content is.
  for (std::uint64_t chunk = std::min(end / kChunkSize, state_->chunk_count - 1); chunk < state_->chunk_count;
       ++chunk) {
    const ByteView plain = state_->cached_chunk(chunk, kBatchChunks);
    const std::uint64_t before = end - std::min(end, chunk * kChunkSize);
    const ByteView padding = plain.subspan(std::min<std::uint64_t>(before, plain.size()));
    if (std::ranges::any_of(padding, [](std::byte b) { return b != std::byte{0}; }))
      fail_damaged(state_->name, "holds more than its record says");
  }
}

BodyStore::Reader BodyStore::open(const BodyRef& ref, std::uint64_t size_bytes) const {
  const std::uint64_t whole_size = whole_size_of(ref, size_bytes);
  if (whole_size > kMaxBodySize || ref.offset > whole_size || size_bytes > whole_size - ref.offset) {
    fail_damaged(ref.name, "is shorter than its record says");
  }
  const Path path = path_of(ref.name);
  const auto type = type_of(path);
  const bool is_file = type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  if (!is_file) fail_damaged(ref.name, "is something else than a file");
  auto file = File::open_for_reading(path);
  if (!file && std::filesystem::exists(folder_.parent_path() / kAbsentMark)) {
    throw Error(Errc::kDamaged, "its large file was not fetched when the vault was restored in part", kFetchAbsent);
  }
  if (!file) fail_damaged(ref.name, "is missing");
  if (file->size() != sealed_payload_size(padme(whole_size)))
    fail_damaged(ref.name, "is not of the size its record says");
  PayloadNonce nonce;
  if (file->read_at(0, nonce) != nonce.size()) fail_damaged(ref.name, "is shorter than its record says");
  file->advise_sequential();
  return Reader(std::make_unique<Reader::State>(std::move(*file), ref, nonce, size_bytes));
}

// Synced, so that what was reported as removed does not come back.
bool BodyStore::remove(const std::string& name) const {
  const Path path = path_of(name);
  if (!remove_file(path)) return false;
  sync_directory(path.parent_path());
  return true;
}

std::vector<std::string> BodyStore::names_of(const BodyNameKey& name_key) const {
  std::vector<std::string> names = list().bodies;
  std::erase_if(names, [&](const std::string& name) { return !is_marked(name, name_key); });
  return names;
}

BodyStore::Listing BodyStore::list() const {
  Listing listing;
  for (const std::string& outer : list_directory(folder_)) {
    if (!is_folder_name(outer) || type_of(folder_ / outer) != std::filesystem::file_type::directory) {
      listing.strangers.push_back(outer);
      continue;
    }
    for (const std::string& name : list_directory(folder_ / outer)) {
      const bool fits = is_body_name(name) && name.starts_with(outer);
      if (fits && type_of(folder_ / outer / name) == std::filesystem::file_type::regular) {
        listing.bodies.push_back(name);
      } else {
        listing.strangers.push_back((Path(outer) / name).native());
      }
    }
  }
  return listing;
}

bool BodyStore::remove_leftover(const std::string& name, const std::function<bool()>& still_unreferenced) const {
  const Path path = path_of(name);
  auto file = File::open_for_reading(path);
  if (!file || !file->try_lock(File::Lock::kExclusive)) return false;
  return still_unreferenced() && remove_file(path);
}

Path BodyStore::path_of(const std::string& name) const {
  if (!is_body_name(name)) throw Error(Errc::kDamaged, "'" + escape_for_display(name) + "' is not the name of a body");
  return folder_ / name.substr(0, 2) / name;
}

}  // namespace casevault
