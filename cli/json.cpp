#include "cli/json.h"

#include "cli/session.h"

namespace casevault {

using Json = nlohmann::ordered_json;

Json to_json(const CaseSummary& summary) {
  return {{"case", case_name(summary.number)},
          {"title", summary.title},
          {"right", to_string(summary.my_right)},
          {"closed", summary.closed},
          {"created", iso_time(summary.created_ms)},
          {"created_by", summary.created_by},
          {"changes", summary.changes}};
}

Json to_json(const Added& added) {
  return {{"object", added.object}, {"version", added.version},       {"name", added.name},
          {"size", added.size},     {"sha256", to_hex(added.sha256)}, {"already_there", added.already_there}};
}

Json to_json(const VersionDetails& details) {
  Json json = {{"name", details.name}, {"title", details.title},
               {"tags", details.tags}, {"media_type", details.media_type},
               {"size", details.size}, {"sha256", to_hex(details.sha256)}};
  if (details.modified_ms != 0) json["modified"] = iso_time(details.modified_ms);
  if (details.testimony) {
    json["testimony"] = {{"witness", details.testimony->witness},
                         {"language", details.testimony->language},
                         {"taken_at", details.testimony->taken_at},
                         {"place", details.testimony->place},
                         {"consent", details.testimony->consent}};
  }
  return json;
}

Json to_json(const Session& session, const std::string& object, const Version& version) {
  Json json = {{"object", object},
               {"version", version.number},
               {"added", iso_time(version.added_ms)},
               {"added_by", user_name(session, version.added_by)}};
  if (version.details) json.update(to_json(*version.details));
  return json;
}

Json to_json(const Session& session, const RecordView& view) {
  Json json = to_json(session, view.object, view.record.newest());
  json["withdrawn"] = view.record.withdrawal.has_value();
  if (const auto& withdrawal = view.record.withdrawal) {
    json["withdrawn_at"] = iso_time(withdrawal->time_ms);
    json["withdrawn_by"] = user_name(session, withdrawal->by);
    json["reason"] = withdrawal->reason;
  }
  return json;
}

Json to_json(const RemovalReport& report) {
  const auto names = [](const std::vector<std::int64_t>& numbers) {
    Json list = Json::array();
    for (const auto number : numbers) list.push_back(case_name(number));
    return list;
  };
  Json opened = Json::array();
  for (const OpenedBefore& before : report.opened) {
    opened.push_back({{"case", case_name(before.case_number)}, {"records", before.records}});
  }
  return {{"rekeyed", names(report.rotated)},
          {"to_be_rekeyed", names(report.to_be_rotated)},
          {"audit_readable", report.audit_readable},
          {"opened", opened}};
}

Json to_json(const Finding& finding) {
  return {{"finding", finding.weight == Finding::Weight::kBad ? "bad" : "note"},
          {"object", finding.object},
          {"meaning", finding.meaning}};
}

}  // namespace casevault
