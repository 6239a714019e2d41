#include "vault/records/testimony.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "vault/records/commit.h"
#include "vault/records/objects.h"
#include "vault/text.h"

namespace casevault {
namespace {

void require_text(ByteView text) {
  if (text.empty()) throw Error(Errc::kUsage, "the testimony is empty");
  if (text.size() > kMaxTestimonySize)
    throw Error(Errc::kUsage, "the testimony is too long: 16 MiB of text at most", "add it as a file: casevault add");
  if (!is_utf8(as_text(text)))
    throw Error(Errc::kUsage, "the testimony is not UTF-8 text", "add it as a file: casevault add");
}

VersionDetails details_of(ByteView text, const std::string& name, const TestimonyFacts& facts,
                          const AddOptions& options) {
  VersionDetails details{
      .name = to_utf8_name(name), .title = options.title, .tags = options.tags, .media_type = options.media_type};
  if (details.name != name) details.name_bytes = name;
  if (details.name.empty()) details.name = "testimony.txt";
  if (details.media_type.empty()) details.media_type = "text/plain";
  details.size = text.size();
  details.sha256 = sha256(text);
  details.testimony = facts;
  return details;
}

Batch batch_of(const Session& session, const OpenCase& open, ByteView text, const VersionDetails& details) {
  Batch batch;
  ReadyFile file{.name = details.name, .size = details.size, .sha256 = details.sha256, .may_be_known = false};
  const bool is_inline = text.size() <= kMaxInlineSize;
  file.prepared = prepare_version(details, as_text(text), is_inline);
  if (is_inline) {
    file.content.assign(text.begin(), text.end());
  } else {
    file.body = 0;
    batch.bodies.push_back(session.bodies().create(open.store.body_name_key()));
    batch.bodies[0].write(text);
    batch.bodies[0].finish();
  }
  batch.files.push_back(std::move(file));
  return batch;
}

Bytes read_text(const SourceList& list) {
  const auto fail = [](int error) { throw Error(Errc::kUsage, "the file was not taken: " + system_reason(error)); };
  const auto source = SourceOpener(list).open(list.files().at(0));
  if (!source.is_open()) fail(errno);
  Bytes text(kMaxTestimonySize + 1);
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(source.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

}  // namespace

std::optional<CaseStore::Place> find_same_testimony(const OpenCase& open, const VersionDetails& details) {
  const auto place = open.store.find_content(details.sha256);
  if (!place || place->record.kind != RecordKind::kTestimony) return std::nullopt;
  const auto record = find_record(open, place->record);
  const auto& found = find_version(open, record, place->version);
  return found.details->testimony == details.testimony ? place : std::nullopt;
}

Added add_testimony(Session& session, std::int64_t case_number, ByteView text, const std::string& name,
                    const TestimonyFacts& facts, const AddOptions& options) {
  require_text(text);
  const auto details = details_of(text, name, facts, options);
  if (const auto fault = find_fault(details)) throw Error(Errc::kUsage, *fault);
  const auto object = case_label(case_number);
  auto open = open_case_for_adding(session, case_number, "testimony-add", object);
  session.record("testimony-add", object, "begun");
  remove_leftovers(session, open);
  auto batch = batch_of(session, open, text, details);
  batch.files[0].known = find_same_testimony(open, details);
  return Committer(session, open, "testimony-add").add_records(batch, RecordKind::kTestimony).at(0);
}

Added update_testimony(Session& session, OpenCase& open, const Version& newest, const SourceList& list) {
  const auto text = read_text(list);
  require_text(text);
  const auto& before = *newest.details;
  const auto& file = list.files()[0];
  auto details = details_of(text, file.name, *before.testimony, {before.title, before.tags, before.media_type});
  details.name_bytes = file.name_bytes;
  auto batch = batch_of(session, open, text, details);
  return Committer(session, open, "update").add_version(batch, newest);
}

}  // namespace casevault
