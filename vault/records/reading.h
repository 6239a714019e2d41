#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vault/records/record.h"
#include "vault/sharing/custody_report.h"
#include "vault/vault.h"

namespace casevault {

// Everything here needs the read right, is logged before it returns or shows anything, and checks the signature and the
// right of whoever added a version before it shows it.

struct RecordView {
  std::string object;  // "C-1/E-3"
  Record record;
  std::vector<CustodyHop> origin;  // of what came in a bundle, oldest first; only show_record fills it
};

/// All records of a case, evidence first, in order.
std::vector<RecordView> list_records(Session& session, std::int64_t case_number);
RecordView show_record(Session& session, const ObjectName& record);
/// The same view; logged as `history`.
RecordView record_history(Session& session, const ObjectName& record);
/// A user's name by id, also of removed ones; hexadecimal when unknown.
std::string user_name(const Session& session, UserId id);

/// Bytes A to B of the content, both included, counted from 0, as in HTTP; `last` beyond the end means the end.
struct ByteRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;
};

/// Streams the content to `sink`, in order. The whole content's SHA-256 is checked before the first byte goes out;
/// with a range only the chunks it touches are authenticated.
/// @throws Error: kNotFound (no such version), kUsage (range outside), kDamaged, whatever `sink` throws.
void read_content(Session& session, const ObjectName& record, std::optional<std::int64_t> version,
                  std::optional<ByteRange> range, const std::function<void(ByteView)>& sink);

struct Exported {
  std::string object;         // "C-1/E-3"
  std::string path;           // below the folder, "C-1/photo.jpg"
  std::string original_name;  // what the record is called, where `path` had to differ from it, else empty
  std::uint64_t size = 0;
};

struct ExportObserver {
  std::function<void(const Exported&)> exported;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

/// Newest versions as plaintext files below `folder` (made if missing), with `manifest-sha256.txt` beside them.
/// Overwrites nothing; each file appears whole, with the hash it was added with, or not at all. Withdrawn records are
/// left out. Returns the number of files.
/// @throws Error: kUsage when a name is taken, before anything is written; kDamaged, kNoSpace, kInterrupted.
std::size_t export_records(Session& session, const std::vector<ObjectName>& objects, const Path& folder,
                           const ExportObserver& observer);

struct Hit {
  std::string object;  // "C-1/T-2"
  Version version;
};

/// Full text, newest versions: names, titles, tags, testimony facts and text, small UTF-8 text files. All words must
/// occur; a word matches as a prefix; case does not matter. `case_number` 0: every case the user may read.
std::vector<Hit> search_records(Session& session, const std::string& query, std::int64_t case_number);

/// Manage right needed. Destroys the content and details of all versions of the record by key: the case gets a new key
/// epoch and a new database without them, the old one and its bodies are removed. The signed statement of who added and
/// who withdrew it stays. Without custody, a copy of the disk made earlier, or a remnant on flash, together with a
/// member's passphrase still opens it.
void withdraw_record(Session& session, const ObjectName& record, const std::string& reason);

}  // namespace casevault
