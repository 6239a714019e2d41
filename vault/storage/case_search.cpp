#include <algorithm>

#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"
#include "vault/storage/case_store.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxQuerySize = 1000;  // bytes
constexpr std::size_t kMaxWords = 32;

/// Tables in memory that cut a query into words just as the index cuts texts.
class QueryWords {
 public:
  explicit QueryWords(const Database& database) : database_(database) {
    database_.execute(("CREATE VIRTUAL TABLE temp.query USING fts5(text, " + std::string(kTokenizer) + ");" +
                       "CREATE VIRTUAL TABLE temp.query_words USING fts5vocab(temp, query, row)")
                          .c_str());
  }
  ~QueryWords() {
    try {
      database_.execute("DROP TABLE temp.query_words; DROP TABLE temp.query");
    } catch (const Error&) {
      // They end with the connection.
    }
  }
  QueryWords(const QueryWords&) = delete;
  QueryWords& operator=(const QueryWords&) = delete;

  std::vector<std::string> words_of(const std::string& text) const {
    database_.prepare("INSERT INTO temp.query(text) VALUES(?)").bind(1, std::string_view(text)).run();
    auto read = database_.prepare("SELECT term FROM temp.query_words");
    std::vector<std::string> words;
    while (read.step()) words.push_back(read.text(0));
    return words;
  }

 private:
  const Database& database_;
};

// Every word as a string of FTS5, so that nothing in it is syntax, with the sign for prefixes.
std::string match_expression(const Database& database, const std::string& query) {
  const auto words = QueryWords(database).words_of(fold_for_search(query));
  if (words.empty() || words.size() > kMaxWords) throw Error(Errc::kUsage, "give between 1 and 32 words to look for");
  std::string expression;
  for (const auto& word : words) expression += "\"" + word + "\"* ";
  return expression;
}

std::vector<std::uint64_t> matching_changes(const Database& database, const std::string& query) {
  const auto expression = match_expression(database, query);
  auto match = database.prepare("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid");
  match.bind(1, std::string_view(expression));
  std::vector<std::uint64_t> changes;
  while (match.step()) changes.push_back(static_cast<std::uint64_t>(match.integer(0)));
  return changes;
}

}  // namespace

void CaseStore::require_query(const std::string& query) {
  const auto may_be_word = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  };
  if (!is_utf8(query) || query.size() > kMaxQuerySize) {
    throw Error(Errc::kUsage, "the words to look for are too long, or not UTF-8");
  }
  if (std::ranges::none_of(query, may_be_word)) throw Error(Errc::kUsage, "there is no word to look for");
}

// The index is trusted for nothing but where to look: which version is the newest, and what it says, comes from the
// chain.
std::vector<Version> CaseStore::search(const std::string& query) const {
  require_query(query);
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
