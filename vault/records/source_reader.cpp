#include "vault/records/source_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "vault/records/media_type.h"
#include "vault/records/pack.h"

namespace casevault {
namespace {

/// Why one file is skipped; the others are not concerned.
struct Skip {
  std::string why;
};

struct stat status_of(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw Skip{system_reason(errno)};
  return status;
}

bool same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool is_unchanged(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_ino == b.st_ino && same_time(a.st_mtim, b.st_mtim) &&
         same_time(a.st_ctim, b.st_ctim);
}

std::int64_t milliseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

// Bytes read; 0 at the end.
std::size_t read_some(int descriptor, std::span<std::byte> out) {
  for (;;) {
    const ssize_t count = ::read(descriptor, out.data(), out.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) throw Skip{"it cannot be read: " + system_reason(errno)};
  }
}

std::size_t read_full(int descriptor, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t count = read_some(descriptor, out.subspan(done));
    if (count == 0) break;
    done += count;
  }
  return done;
}

}  // namespace

struct SourceReader::Reading {
  Descriptor source;
  struct stat before {};
  std::uint64_t size = 0;  // bytes read
  Sha256Digest sha256{};
  Bytes content;      // inline
  Bytes first_bytes;  // of a body
  std::optional<BodyStore::Writer> body;
};

void SourceReader::read(const SourceFile& file, Batch& batch) {
  try {
    Reading reading;
    reading.source = opener_.open(file);
    if (!reading.source.is_open()) throw Skip{system_reason(errno)};
    read_open(file, reading, batch);
  } catch (const Skip& skip) {
    batch.skipped.push_back({file.name, skip.why});
  }
}

void SourceReader::finish_batch(Batch& batch) { finish_pack(batch); }

void SourceReader::read_open(const SourceFile& file, Reading& reading, Batch& batch) {
  reading.before = status_of(reading.source.get());
  if (static_cast<std::uint64_t>(reading.before.st_size) <= kMaxInlineSize) {
    read_inline(reading);
  } else {
    read_body(reading);
  }
  if (shared_.stop) return;
  const bool whole = reading.size == static_cast<std::uint64_t>(reading.before.st_size);
  if (!whole || !is_unchanged(reading.before, status_of(reading.source.get())))
    throw Skip{"it changed while it was read; add it again"};
  finish(file, reading, batch);
}

// Room for one byte more, to see whether the file has more than it says: it grows, or is made as it is read (/proc).
void SourceReader::read_inline(Reading& reading) {
  reading.content.resize(static_cast<std::size_t>(reading.before.st_size) + 1);
  reading.size = read_full(reading.source.get(), reading.content);
  reading.content.resize(reading.size);
  reading.sha256 = sha256(reading.content);
  shared_.done_bytes += reading.size;
}

void SourceReader::read_body(Reading& reading) {
  if (!hashing_) hashing_ = std::make_unique<HashingThread>();
  ::posix_fadvise(reading.source.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  reading.body.emplace(bodies_.create(name_key_));
  try {
    copy_to_body(reading, *reading.body);
  } catch (const Skip&) {
    hashing_->finish();  // so that the next file's digest starts anew
    throw;
  }
  reading.sha256 = hashing_->finish();
  if (!shared_.stop) reading.body->finish();
}

// While a block is hashed, it is also sealed and written.
void SourceReader::copy_to_body(Reading& reading, BodyStore::Writer& writer) {
  while (!shared_.stop) {
    const auto buffer = hashing_->buffer();
    const std::size_t count = read_some(reading.source.get(), buffer);
    if (count == 0) return;
    hashing_->submit(count);
    if (reading.size == 0)
      reading.first_bytes.assign(buffer.begin(), buffer.begin() + std::min(count, kMediaTypeProbeSize));
    reading.size += count;
    if (reading.size > static_cast<std::uint64_t>(reading.before.st_size)) return;  // it grows: it could do so for ever
    writer.write(buffer.first(count));
    shared_.done_bytes += count;
  }
}

void SourceReader::finish(const SourceFile& file, Reading& reading, Batch& batch) const {
  const bool is_inline = !reading.body;
  const ByteView first_bytes = is_inline ? reading.content : reading.first_bytes;
  VersionDetails details = base_;
  details.name = file.name;
  details.name_bytes = file.name_bytes;
  if (details.media_type.empty()) details.media_type = guess_media_type(file.name, first_bytes);
  details.size = reading.size;
  details.sha256 = reading.sha256;
  details.modified_ms = milliseconds(reading.before.st_mtim);
  if (const auto fault = find_fault(details)) throw Skip{*fault};
  const bool is_text = is_inline && is_plain_text(reading.content, false);
  ReadyFile ready{.name = details.name, .size = details.size, .sha256 = details.sha256};
  ready.prepared = prepare_version(details, is_text ? as_text(reading.content) : std::string_view(), is_inline);
  batch.held_bytes += ready.prepared.index_text.size();
  if (reading.body) {
    ready.body = batch.bodies.size();
    batch.body_bytes += reading.size;
    batch.bodies.push_back(std::move(*reading.body));
  } else {
    place_content(batch, ready, std::move(reading.content), bodies_, name_key_);
  }
  batch.files.push_back(std::move(ready));
}

}  // namespace casevault
