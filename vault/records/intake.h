#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/records/record.h"
#include "vault/vault.h"

namespace casevault {

/// What happened to one file.
struct Added {
  std::string object;  // "C-1/E-3"
  std::int64_t version = 1;
  std::string name;        // as stored
  std::uint64_t size = 0;  // bytes
  Sha256Digest sha256{};
  bool already_there = false;  // the same content was in the case before: `object` is that record, nothing was added
};

/// Called as the work goes on, on the calling thread; each `added` only after its batch is committed and synced.
struct IntakeObserver {
  std::function<void(const Added&)> added;
  std::function<void(const std::string& name, const std::string& why)> skipped;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

struct AddOptions {
  std::string title;
  std::vector<std::string> tags;
  std::string media_type;  // empty: guessed from the content's first bytes and the extension
};

struct IntakeResult {
  std::size_t added = 0;
  std::size_t already_there = 0;
  std::size_t skipped = 0;
};

/// Adds files, and folders with all that is in them (symbolic links, devices, sockets and pipes are skipped and named).
/// Streams: memory does not grow with file size. What was reported is there, whatever happens afterwards. Add right
/// needed.
/// @throws Error: kUsage when a path does not exist, before anything is added; kNotAllowed, kNotFound, kNoSpace,
/// kInterrupted, kAuditUnavailable.
IntakeResult add_files(Session& session, std::int64_t case_number, const std::vector<Path>& paths,
                       const AddOptions& options, const IntakeObserver& observer);

/// At most this many bytes of testimony text.
inline constexpr std::size_t kMaxTestimonySize = 16u << 20;

/// `text` must be UTF-8 and not empty. Add right needed. @throws Error{kUsage} for text or facts that cannot be kept.
Added add_testimony(Session& session, std::int64_t case_number, ByteView text, const std::string& name,
                    const TestimonyFacts& facts, const AddOptions& options);

/// A new version of a record from a file; older versions stay. A testimony keeps its facts. Add right needed.
Added update_record(Session& session, const ObjectName& record, const Path& file, const IntakeObserver& observer);

}  // namespace casevault
