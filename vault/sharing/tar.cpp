#include "vault/sharing/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "crypto/error.h"
#include "vault/sharing/tar_scanner.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kReadBlockSize = 1 << 18;
constexpr std::int64_t kMaxTime = (std::int64_t{1} << 33) - 1;  // 11 octal digits

// libarchive takes names through the character set of the calling thread's locale. While this lives, that is UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : before_(::uselocale(utf8())) {}
  ~Utf8Locale() { ::uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr));
    require(locale != static_cast<locale_t>(nullptr), "the C library has no locale C.UTF-8");
    return locale;
  }
  locale_t before_;
};

[[noreturn]] void fail(Errc code, std::string_view path, const std::string& what) {
  throw Error(code, "tar: '" + escape_for_display(path) + "': " + what);
}

// Exceptions must not pass through libarchive, which is C: kept here in its callbacks, thrown on after the call.
class KeptException {
 public:
  void keep() { kept_ = std::current_exception(); }
  bool holds() const { return kept_ != nullptr; }
  void rethrow() {
    if (kept_) std::rethrow_exception(kept_);
  }

 private:
  std::exception_ptr kept_;
};

struct EntryDeleter {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, EntryDeleter>;

Entry make_entry(const std::string& path, std::uint64_t size, std::int64_t mtime) {
  constexpr int kMode = 0644;
  Entry entry(archive_entry_new());
  require(entry != nullptr, "no memory for libarchive");
  archive_entry_copy_pathname(entry.get(), path.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), kMode);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(entry.get(), mtime, 0);
  return entry;
}

// Whether libarchive sees what the scanner saw, and nothing more.
bool agrees(archive_entry* entry, const TarHeader& header) {
  const char* path = archive_entry_pathname(entry);
  return path != nullptr && path == header.path &&
         archive_entry_filetype(entry) == (header.is_folder ? AE_IFDIR : AE_IFREG) &&
         static_cast<std::uint64_t>(archive_entry_size(entry)) == header.size &&
         archive_entry_hardlink(entry) == nullptr && archive_entry_symlink(entry) == nullptr &&
         archive_entry_sparse_count(entry) == 0 && archive_entry_xattr_count(entry) == 0 &&
         archive_entry_acl_types(entry) == 0;
}

}  // namespace

// ---- Writing.

struct TarWriter::State {
  State(Sink to, std::string top, std::int64_t time) : sink(std::move(to)), top_folder(std::move(top)), mtime(time) {}

  Sink sink;
  std::string top_folder;
  std::int64_t mtime;
  KeptException kept;
  PathSet paths;
  std::string path;  // of the file that is begun; empty between files
  std::uint64_t left = 0;
  bool is_over = false;           // nothing goes to the sink any more
  struct archive* tar = nullptr;  // owned

  void open();
  void check(la_ssize_t result);
  static la_ssize_t write(struct archive* tar, void* state, const void* data, std::size_t size);
};

la_ssize_t TarWriter::State::write(struct archive* tar, void* state, const void* data, std::size_t size) {
  auto& self = *static_cast<State*>(state);
  try {
    if (!self.is_over && !self.kept.holds()) {
      self.sink({static_cast<const std::byte*>(data), size});
      return static_cast<la_ssize_t>(size);
    }
  } catch (...) {
    self.kept.keep();
  }
  archive_set_error(tar, EIO, "the sink failed");
  return -1;
}

void TarWriter::State::open() {
  tar = archive_write_new();
  require(tar != nullptr, "no memory for libarchive");
  require(archive_write_set_format_pax_restricted(tar) == ARCHIVE_OK &&
              archive_write_set_bytes_per_block(tar, 0) == ARCHIVE_OK &&  // no buffer, no padding at the end
              archive_write_open(tar, this, nullptr, write, nullptr) == ARCHIVE_OK,
          "libarchive cannot write a tar");
}

void TarWriter::State::check(la_ssize_t result) {
  kept.rethrow();
  require(result >= 0, "libarchive failed to write a tar");
}

TarWriter::TarWriter(Sink sink, std::string top_folder, std::int64_t mtime)
    : state_(std::make_unique<State>(std::move(sink), std::move(top_folder), mtime)) {
  const std::string& top = state_->top_folder;
  require(!find_path_fault(top) && top.find('/') == std::string::npos, "not the name of a folder");
  require(mtime >= 0 && mtime <= kMaxTime, "a time that tar cannot say");
  const Utf8Locale locale;
  state_->open();
}

TarWriter::~TarWriter() {
  state_->is_over = true;  // freeing writes the end of the archive; archive_write_fail would prevent it, but leaks
  archive_write_free(state_->tar);
}

void TarWriter::begin_file(std::string_view path, std::uint64_t size) {
  require(state_->path.empty(), "a file is begun within another");
  require(size <= kMaxTarMemberSize, "a file beyond 2^62 bytes");
  const std::string whole = state_->top_folder + "/" + std::string(path);
  auto fault = state_->paths.add_file(path);
  if (!fault) fault = find_path_fault(whole);
  if (fault) fail(Errc::kUsage, path, "the path " + *fault);
  const Utf8Locale locale;
  const Entry entry = make_entry(whole, size, state_->mtime);
  const int result = archive_write_header(state_->tar, entry.get());
  state_->check(result);
  require(result == ARCHIVE_OK, "libarchive changed a name");
  state_->path = path;
  state_->left = size;
}

void TarWriter::write(ByteView data) {
  require(!state_->path.empty() && data.size() <= state_->left, "more data than the file in the tar was to have");
  state_->left -= data.size();
  while (!data.empty()) {
    const la_ssize_t written = archive_write_data(state_->tar, data.data(), data.size());
    state_->check(written);
    require(written > 0, "libarchive took no data");
    data = data.subspan(static_cast<std::size_t>(written));
  }
}

void TarWriter::end_file() {
  require(!state_->path.empty() && state_->left == 0, "less data than the file in the tar was to have");
  state_->check(archive_write_finish_entry(state_->tar));
  state_->path.clear();
}

void TarWriter::finish() {
  require(state_->path.empty(), "the tar's last file is not ended");
  state_->check(archive_write_close(state_->tar));
}

// ---- Reading.

struct TarReader::State {
  explicit State(Source from) : source(std::move(from)), buffer(kReadBlockSize) {}

  Source source;
  Bytes buffer;
  bool source_has_ended = false;
  KeptException kept;
  TarScanner scanner;
  PathSet paths;
  std::string top_folder;
  std::size_t members = 0;
  Member member;
  bool is_folder = false;         // the member
  std::uint64_t position = 0;     // in the member, of what libarchive gave
  ByteView piece;                 // what read() left of it
  struct archive* tar = nullptr;  // owned

  ByteView pull();
  void open();
  void check(int result);
  bool step();
  std::string place(const TarHeader& header);
  ByteView next_piece();
  void finish();
  static la_ssize_t read(struct archive* tar, void* state, const void** data);
};

// The next bytes of the source, seen by the scanner; none at its end.
ByteView TarReader::State::pull() {
  std::size_t size = 0;
  while (!source_has_ended && size < buffer.size()) {
    const std::size_t got = source(std::span(buffer).subspan(size));
    require(got <= buffer.size() - size, "a source gave more than was asked for");
    source_has_ended = got == 0;
    size += got;
  }
  const ByteView bytes(buffer.data(), size);
  scanner.feed(bytes);
  return bytes;
}

la_ssize_t TarReader::State::read(struct archive* tar, void* state, const void** data) {
  auto& self = *static_cast<State*>(state);
  try {
    const ByteView bytes = self.pull();
    *data = bytes.data();
    return static_cast<la_ssize_t>(bytes.size());
  } catch (...) {
    self.kept.keep();
  }
  archive_set_error(tar, EIO, "the source failed");
  return -1;
}

void TarReader::State::open() {
  require(archive_read_support_format_tar(tar) == ARCHIVE_OK, "libarchive cannot read a tar");
  check(archive_read_open(tar, this, nullptr, read, nullptr));
}

// Warnings are refused too: they say that something was left out or changed.
void TarReader::State::check(int result) {
  kept.rethrow();
  if (result == ARCHIVE_OK || result == ARCHIVE_EOF) return;
  if (source_has_ended) scanner.finish();  // throws where the tar is cut off, which says more
  const char* reason = archive_error_string(tar);
  throw Error(Errc::kDamaged, "tar: " + escape_for_display(reason != nullptr ? reason : "damaged"));
}

// Goes to the next member, file or folder. False at the end of the archive.
bool TarReader::State::step() {
  archive_entry* entry = nullptr;  // libarchive's
  const int result = archive_read_next_header(tar, &entry);
  kept.rethrow();
  const auto header = scanner.take_header();
  std::string path = header ? place(*header) : "";
  check(result);
  const bool is_end = result == ARCHIVE_EOF;
  if (is_end && !header) return false;
  if (is_end || !header || !agrees(entry, *header))
    fail(Errc::kDamaged, header ? header->path : "", "it reads differently to different programs");
  if (++members > kMaxTarMembers) fail(Errc::kDamaged, header->path, "there are more than 1,000,000 members");
  member = {.path = std::move(path), .size = header->size};
  is_folder = header->is_folder;
  position = 0;
  piece = {};
  return true;
}

// The path below the top folder, after it was checked; empty for the top folder itself.
std::string TarReader::State::place(const TarHeader& header) {
  std::string_view whole = header.path;
  if (header.is_folder && whole.ends_with('/')) whole.remove_suffix(1);
  if (const auto fault = find_path_fault(whole)) fail(Errc::kDamaged, header.path, "the path " + *fault);
  const std::size_t slash = std::min(whole.find('/'), whole.size());
  const std::string_view top = whole.substr(0, slash);
  if (slash == whole.size() && !header.is_folder) fail(Errc::kDamaged, header.path, "it stands in no folder");
  if (top_folder.empty()) top_folder = top;
  if (top != top_folder)
    fail(Errc::kDamaged, header.path, "it stands outside the folder '" + escape_for_display(top_folder) + "'");
  if (slash == whole.size()) return {};
  const std::string_view path = whole.substr(slash + 1);
  const auto fault = header.is_folder ? paths.add_folder(path) : paths.add_file(path);
  if (fault) fail(Errc::kDamaged, header.path, "the path " + *fault);
  return std::string(path);
}

ByteView TarReader::State::next_piece() {
  if (position == member.size) return {};
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int result = archive_read_data_block(tar, &data, &size, &offset);
  check(result);
  if (result == ARCHIVE_EOF || static_cast<std::uint64_t>(offset) != position || size > member.size - position)
    fail(Errc::kDamaged, member.path, "it reads differently to different programs");
  position += size;
  return {static_cast<const std::byte*>(data), size};
}

// libarchive stops at the first block of zeros. What comes after is for the scanner to see.
void TarReader::State::finish() {
  while (!pull().empty()) {
  }
  scanner.finish();
  if (const auto header = scanner.take_header())
    fail(Errc::kDamaged, header->path, "it reads differently to different programs");
}

TarReader::TarReader(Source source) : state_(std::make_unique<State>(std::move(source))) {}

TarReader::~TarReader() { archive_read_free(state_->tar); }

std::optional<TarReader::Member> TarReader::next() {
  const Utf8Locale locale;
  if (state_->tar == nullptr) {
    state_->tar = archive_read_new();
    require(state_->tar != nullptr, "no memory for libarchive");
    state_->open();
  }
  while (state_->step()) {
    if (!state_->is_folder) return state_->member;
  }
  state_->finish();
  return std::nullopt;
}

ByteView TarReader::read_piece() {
  const Utf8Locale locale;
  return state_->piece.empty() ? state_->next_piece() : std::exchange(state_->piece, {});
}

std::size_t TarReader::read(std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    if (state_->piece.empty()) state_->piece = read_piece();
    const std::size_t size = std::min(state_->piece.size(), buffer.size() - done);
    if (size == 0) break;
    std::memcpy(buffer.data() + done, state_->piece.data(), size);
    state_->piece = state_->piece.subspan(size);
    done += size;
  }
  return done;
}

const std::string& TarReader::top_folder() const { return state_->top_folder; }

}  // namespace casevault
