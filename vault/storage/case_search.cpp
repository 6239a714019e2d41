#include <algorithm>

#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"
#include "vault/storage/case_store.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxQuerySize = 1000;  // bytes
constexpr std::size_t kMaxWords = 32;

// What the tokenizer takes for part of a word; it splits further where other scripts have punctuation.
bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const bool part = is_word_byte(c);
    if (part && !inside) words.emplace_back();
    if (part) words.back() += c;
    inside = part;
  }
  return words;
}

// Every word as a string of FTS5, so that nothing in it is syntax, with the sign for prefixes.
std::string match_expression(const std::string& query) {
  if (!is_utf8(query) || query.size() > kMaxQuerySize) throw Error(Errc::kUsage, "the words to look for are too long, or not UTF-8");
  const auto words = words_of(fold_for_search(query));
  if (words.empty() || words.size() > kMaxWords) throw Error(Errc::kUsage, "give between 1 and 32 words to look for");
  std::string expression;
  for (const auto& word : words) expression += "\"" + word + "\"* ";
  return expression;
}

std::vector<std::uint64_t> matching_changes(const Database& database, const std::string& query) {
  auto match = database.prepare("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid");
  match.bind(1, std::string_view(match_expression(query)));
  std::vector<std::uint64_t> changes;
  while (match.step()) changes.push_back(static_cast<std::uint64_t>(match.integer(0)));
  return changes;
}

}  // namespace

void CaseStore::require_query(const std::string& query) { match_expression(query); }

// The index is trusted for nothing but where to look: which version is the newest, and what it says, comes from the chain.
std::vector<Version> CaseStore::search(const std::string& query) const {
  const auto matches = matching_changes(database_, query);
  if (matches.empty()) return {};
  CaseReplay replay(id_);
  for (const auto& change : read_chain(database_)) replay.add(change.number, change.statement);
  DetailsRows rows(database_);
  std::vector<Version> hits;
  for (const auto& [id, record] : replay.records()) {
    Version version = record.newest();
    if (record.withdrawal || !std::ranges::binary_search(matches, version.change)) continue;
    version.details = rows.details(version, replay.details_hash(version.change));
    hits.push_back(std::move(version));
  }
  return hits;
}

}  // namespace casevault
