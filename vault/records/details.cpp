#include "vault/records/details.h"

#include <algorithm>
#include <chrono>

#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/records/statement.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

using nlohmann::json;

bool is_text(std::string_view text, std::size_t max_bytes) { return text.size() <= max_bytes && is_utf8(text); }

bool is_media_type_part(std::string_view part) {
  const auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$&^_.+-").find(c) != std::string_view::npos;
  };
  return !part.empty() && part.size() <= 127 && std::ranges::all_of(part, ok);
}

// RFC 6838 section 4.2, lower case, without parameters.
bool is_media_type(std::string_view text) {
  const std::size_t slash = text.find('/');
  return slash != std::string_view::npos && is_media_type_part(text.substr(0, slash)) &&
         is_media_type_part(text.substr(slash + 1));
}

bool is_language(std::string_view text) {
  return (text.size() == 2 || text.size() == 3) &&
         std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

// YYYY-MM-DD, a day that exists.
bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  int parts[3] = {0, 0, 0};
  for (std::size_t i = 0, part = 0; i < text.size(); ++i) {
    if (i == 4 || i == 7) {
      ++part;
    } else if (text[i] < '0' || text[i] > '9') {
      return false;
    } else {
      parts[part] = parts[part] * 10 + (text[i] - '0');
    }
  }
  return std::chrono::year_month_day(std::chrono::year(parts[0]), std::chrono::month(static_cast<unsigned>(parts[1])),
                                     std::chrono::day(static_cast<unsigned>(parts[2])))
      .ok();
}

std::optional<std::string> find_fault(const TestimonyFacts& facts) {
  if (facts.witness.empty()) return "a testimony needs the witness's alias";
  for (const auto& text : {facts.witness, facts.place, facts.consent}) {
    if (!is_text(text, kMaxFactSize)) return "witness, place and consent are UTF-8 text of at most 2000 bytes each";
  }
  if (!facts.language.empty() && !is_language(facts.language))
    return "the language is two or three small letters, such as ru";
  if (!facts.taken_at.empty() && !is_date(facts.taken_at)) return "the date is written YYYY-MM-DD";
  return std::nullopt;
}

// By hand, keys in order: building objects takes three times as long, which tells with twenty thousand files.
std::string facts_to_json(const TestimonyFacts& facts) {
  return R"({"consent":)" + json_string(facts.consent) + R"(,"language":)" + json_string(facts.language) +
         R"(,"place":)" + json_string(facts.place) + R"(,"taken_at":)" + json_string(facts.taken_at) +
         R"(,"witness":)" + json_string(facts.witness) + "}";
}

std::string tags_to_json(const std::vector<std::string>& tags) {
  std::string text = "[";
  for (const auto& tag : tags) text += (text.size() > 1 ? "," : "") + json_string(tag);
  return text + "]";
}

std::string encode(const VersionDetails& details) {
  return R"({"media_type":)" + json_string(details.media_type) + R"(,"modified":)" +
         std::to_string(details.modified_ms) + R"(,"name":)" + json_string(details.name) + R"(,"name_bytes":")" +
         to_hex(as_bytes(details.name_bytes)) + R"(","origin":")" + (details.origin ? to_hex(*details.origin) : "") +
         R"(","salt":")" + to_hex(random_array<16>()) + R"(","sha256":")" + to_hex(details.sha256) + R"(","size":)" +
         std::to_string(details.size) + R"(,"tags":)" + tags_to_json(details.tags) + R"(,"testimony":)" +
         (details.testimony ? facts_to_json(*details.testimony) : "null") + R"(,"title":)" +
         json_string(details.title) + "}";
}

TestimonyFacts facts_from_json(const json& object, const std::string& what) {
  Fields fields(object, what);
  TestimonyFacts facts{.witness = fields.text("witness"),
                       .language = fields.text("language"),
                       .taken_at = fields.text("taken_at"),
                       .place = fields.text("place"),
                       .consent = fields.text("consent")};
  fields.end();
  return facts;
}

std::vector<std::string> tags_from_json(const json& list, const Fields& fields) {
  if (!list.is_array()) fields.fail();
  std::vector<std::string> tags;
  for (const auto& tag : list) {
    if (!tag.is_string()) fields.fail();
    tags.push_back(tag.get<std::string>());
  }
  return tags;
}

std::string name_bytes_from_hex(const std::string& hex, const Fields& fields) {
  const auto bytes = from_hex(hex);
  if (!bytes) fields.fail();
  return std::string(as_text(*bytes));
}

}  // namespace

std::optional<std::string> find_fault(const VersionDetails& details) {
  if (details.name.empty()) return "a record needs a name";
  if (!is_text(details.name, kMaxNameSize) || details.name_bytes.size() > kMaxNameSize)
    return "the name is too long, or not UTF-8";
  if (!is_text(details.title, kMaxTitleSize)) return "the title is too long (1000 bytes at most), or not UTF-8";
  if (details.tags.size() > kMaxTags) return "too many tags: 64 at most";
  for (const auto& tag : details.tags) {
    if (tag.empty() || !is_text(tag, kMaxTagSize)) return "a tag is empty, too long (200 bytes at most), or not UTF-8";
  }
  if (!is_media_type(details.media_type)) return "the media type is not written type/subtype, in small letters";
  return details.testimony ? find_fault(*details.testimony) : std::nullopt;
}

std::string encode_details(const VersionDetails& details) {
  if (const auto fault = find_fault(details)) throw Error(Errc::kUsage, *fault);
  return encode(details);
}

VersionDetails parse_details(std::string_view text, const std::string& what) {
  const json object = parse_canonical(text, what);
  Fields fields(object, what);
  VersionDetails details;
  details.name = fields.text("name");
  details.name_bytes = name_bytes_from_hex(fields.text("name_bytes"), fields);
  details.title = fields.text("title");
  details.tags = tags_from_json(fields.any("tags"), fields);
  details.media_type = fields.text("media_type");
  details.size = fields.count("size");
  details.sha256 = fields.hex<32>("sha256");
  details.modified_ms = fields.time("modified");
  fields.hex<16>("salt");
  const auto origin = fields.text("origin");
  details.origin = array_from_hex<32>(origin);
  if (!origin.empty() && !details.origin) fields.fail();
  const json& testimony = fields.any("testimony");
  if (!testimony.is_null()) details.testimony = facts_from_json(testimony, what);
  fields.end();
  if (find_fault(details)) fields.fail();
  return details;
}

std::string index_text(const VersionDetails& details, std::string_view text) {
  std::string words = details.name + '\n' + details.title;
  for (const auto& tag : details.tags) words += '\n' + tag;
  if (details.testimony) {
    for (const auto& fact : {details.testimony->witness, details.testimony->place, details.testimony->consent})
      words += '\n' + fact;
  }
  words += '\n';
  words += text;
  return fold_for_search(words);
}

PreparedVersion prepare_version(const VersionDetails& details, std::string_view text, bool is_inline) {
  PreparedVersion prepared;
  prepared.details = encode_details(details);
  prepared.details_hash = sha256(as_bytes(prepared.details));
  prepared.sha256 = details.sha256;
  prepared.index_text = index_text(details, text);
  prepared.has_text = !text.empty();
  if (prepared.has_text && !is_inline) prepared.text = std::string(text);
  return prepared;
}

}  // namespace casevault
