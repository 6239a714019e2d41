#pragma once
#include <functional>
#include <string>

#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/stream.h"
#include "vault/storage/file.h"

namespace casevault {

/// Padmé (Nikitin et al., PETS 2019, section 4): the padded size of a plaintext of `size` bytes; at most 12 % more.
std::uint64_t padme(std::uint64_t size);

/// A sealed body as its record remembers it.
struct BodyRef {
  std::string name;  // 32 hex digits
  FileKey key;
  // Where several contents stand in one body, one after the other:
  std::uint64_t offset = 0;      // of this one, bytes
  std::uint64_t whole_size = 0;  // of all, bytes; 0 where the content is all there is
};

/// The folder `bodies/`: `<first 2 hex>/<32 hex>`, one immutable file each: an age payload (crypto/stream.h) of the
/// content, zero-padded to padme(size). A name is 8 random bytes and BLAKE2b-64 of them under the case's BodyNameKey,
/// so that those who may read the case can tell its leftovers from other cases' bodies, and nobody else can.
class BodyStore {
 public:
  explicit BodyStore(Path folder) : folder_(std::move(folder)) {}

  /// A body being written. Unless `keep` was called it is removed again on destruction. Holds an exclusive lock on its
  /// file until destroyed, so that nobody takes it for a leftover before its record is committed.
  class Writer {
   public:
    Writer(Writer&&) noexcept;
    Writer& operator=(Writer&&) noexcept;
    ~Writer();
    /// Any sizes; chunks are sealed and written as they fill.
    void write(ByteView plaintext);
    /// Pads and seals the last chunk. Not yet synced.
    void finish();
    /// Data on the disk.
    void sync();
    const BodyRef& ref() const;
    std::uint64_t size() const;  // plaintext bytes so far, without padding
    void keep();

   private:
    friend class BodyStore;
    struct State;
    explicit Writer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  Writer create(const BodyNameKey& name_key) const;

  /// Makes finished bodies durable with their folders, one sync for many (sync_file_system) where that is fewer.
  void sync_all(std::span<Writer> writers) const;

  /// Random access. Authenticates the chunks that are read, not the whole: `verify` does that.
  class Reader {
   public:
    Reader(Reader&&) noexcept;
    Reader& operator=(Reader&&) noexcept;
    ~Reader();
    std::uint64_t size() const;  // plaintext bytes without padding
    /// Fills `out` from `offset`; returns the bytes read, fewer only at the end.
    /// @throws Error{kDamaged} when a chunk is not authentic.
    std::size_t read_at(std::uint64_t offset, std::span<std::byte> out);
    /// Checks the chunks from the content's end to the body's: authentic, and zero. Where other contents follow it does
    /// nothing: that is for the last of them. @throws Error{kDamaged}
    void check_padding();

   private:
    friend class BodyStore;
    struct State;
    explicit Reader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  /// @throws Error{kDamaged} when the body is missing or not of the size that `size_bytes` of content (or, where it
  /// holds several, `ref.whole_size`) make.
  Reader open(const BodyRef& ref, std::uint64_t size_bytes) const;

  bool remove(const std::string& name) const;
  /// Names of all bodies whose names are marked by `name_key`.
  std::vector<std::string> names_of(const BodyNameKey& name_key) const;
  /// Everything in the folder: body names, and paths relative to it of whatever does not look like a body.
  struct Listing {
    std::vector<std::string> bodies;
    std::vector<std::string> strangers;
  };
  Listing list() const;
  /// Removes the body if nobody holds it for writing and `still_unreferenced` (asked while it is locked) says so.
  bool remove_leftover(const std::string& name, const std::function<bool()>& still_unreferenced) const;
  Path path_of(const std::string& name) const;

 private:
  Path folder_;
};

}  // namespace casevault
