#include "vault/records/reading.h"

#include <algorithm>

#include "vault/records/content.h"
#include "vault/records/objects.h"
#include "vault/sharing/custody_hops.h"

namespace casevault {
namespace {

RecordView view_record(Session& session, const ObjectName& object, std::string_view action) {
  const auto id = require_record(object);
  const auto label = to_string(object);
  const auto open = open_case(session, object.case_number, Right::kRead, action, label);
  auto record = find_record(open, id);
  check_versions(session, open, record);
  session.record(action, label);
  return {label, std::move(record)};
}

struct Part {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // one behind the last
};

Part part_of(const std::optional<ByteRange>& range, std::uint64_t size) {
  if (!range) return {0, size};
  if (range->last && *range->last < range->first) throw Error(Errc::kUsage, "the range ends before it begins");
  if (range->first >= size) throw Error(Errc::kUsage, "the range begins behind the end of the content");
  const std::uint64_t last = std::min(range->last.value_or(size - 1), size - 1);
  return {range->first, last + 1};
}

void stream(const Session& session, ContentReader& content, Part part, const std::function<void(ByteView)>& sink) {
  Bytes block(HashingThread::kBufferSize);
  while (part.begin < part.end) {
    stop_if_interrupted(session.environment());
    const auto wanted = std::span(block).first(std::min<std::uint64_t>(block.size(), part.end - part.begin));
    const std::size_t count = content.read_at(part.begin, wanted);
    require(count > 0, "a content ended before its end");
    sink(ByteView(wanted).first(count));
    part.begin += count;
  }
}

}  // namespace

std::vector<RecordView> list_records(Session& session, std::int64_t case_number) {
  const auto open = open_case(session, case_number, Right::kRead, "list", case_label(case_number));
  auto records = in_case(case_number, [&] { return open.store.records(); });
  std::vector<RecordView> views;
  views.reserve(records.size());
  for (auto& record : records) views.push_back({record_label(case_number, record.id), std::move(record)});
  session.record("list", case_label(case_number));
  return views;
}

RecordView show_record(Session& session, const ObjectName& object) {
  auto view = view_record(session, object, "show");
  const auto& newest = view.record.newest();
  if (!newest.details || !newest.details->origin) return view;
  const auto open = open_case(session, object.case_number, Right::kRead, "show", view.object);
  const auto origin = in_case(object.case_number, [&] { return open.store.origin(newest); });
  view.origin = custody_hops(*origin, *newest.details, view.object);
  return view;
}
RecordView record_history(Session& session, const ObjectName& record) {
  return view_record(session, record, "history");
}

std::string user_name(const Session& session, UserId id) {
  const auto* user = session.state().find_user(id);
  return user != nullptr ? user->keys.name : to_hex(id);
}

void read_content(Session& session, const ObjectName& object, std::optional<std::int64_t> number,
                  std::optional<ByteRange> range, const std::function<void(ByteView)>& sink) {
  const auto id = require_record(object);
  const auto open = open_case(session, object.case_number, Right::kRead, "cat", to_string(object));
  const auto record = find_record(open, id);
  const auto& version = find_version(open, record, number);
  check_version(session, open, version);
  auto content = ContentOpener(session).open(open, version);
  const auto part = part_of(range, content.size());
  if (!range && !content.is_checked()) {
    HashingThread hashing;
    content.read_all(hashing, [](std::uint64_t, ByteView) {});
  }
  session.record("cat", to_string(object));
  stream(session, content, part, sink);
}

}  // namespace casevault
