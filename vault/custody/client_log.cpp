#include <algorithm>

#include "crypto/cosignature.h"
#include "crypto/error.h"
#include "crypto/merkle.h"
#include "crypto/random.h"
#include "crypto/text_lines.h"
#include "crypto/tlog_proof.h"
#include "crypto/witness_request.h"
#include "vault/custody/client_parts.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::chrono::seconds kStatementTimeout{30};
constexpr std::chrono::seconds kOrdersTimeout{55};  // a custodian answers after 50 at the latest
constexpr std::size_t kMaxPages = 1'000;
constexpr std::size_t kMaxPageEntries = 500;
constexpr int kConflict = 409;
const std::string kAnswer = "a custodian's answer";
const std::string kStatement = "a custodian's statement";

/// One page of a statement, checked.
struct Page {
  std::vector<CustodianLogEntry> entries;
  std::uint64_t next = 0;
};

/// What was asked for, and of whom.
struct Asked {
  VerifyKey custodian;
  VaultId vault;
  std::int64_t from_ms;
  std::int64_t until_ms;
};

CustodianLogEntry entry_from(const std::string& text, std::uint64_t index, const Asked& asked) {
  const auto object = parse_canonical(text, kStatement);
  Fields fields(object, kStatement);
  CustodianLogEntry entry{.action = fields.text("action"),
                          .at_ms = fields.time("at"),
                          .device = fields.text("device"),
                          .id = std::nullopt,
                          .index = index,
                          .outcome = fields.text("outcome")};
  fields.text("detail");
  const auto id = fields.text("id");
  if (!id.empty()) entry.id = array_from_hex<16>(id);
  const bool belongs = fields.count("index") == index && fields.hex<16>("vault") == asked.vault &&
                       entry.at_ms >= asked.from_ms && entry.at_ms <= asked.until_ms &&
                       id.empty() != entry.id.has_value();
  fields.end();
  if (!belongs) fields.fail();
  return entry;
}

std::vector<TreeHash> hashes_from(const nlohmann::json& list, const Fields& fields) {
  std::vector<TreeHash> hashes;
  for (const auto& item : list) {
    const auto hash = item.is_string() ? array_from_hex<32>(item.get<std::string>()) : std::nullopt;
    if (!hash) fields.fail();
    hashes.push_back(*hash);
  }
  return hashes;
}

CustodianLogEntry proven_entry(const nlohmann::json& object, const Checkpoint& head, const Asked& asked) {
  Fields fields(object, kStatement);
  const auto text = fields.text("entry");
  const auto index = fields.count("index");
  const auto proof = hashes_from(fields.list("proof", kMaxInclusionPath), fields);
  fields.end();
  if (!verify_inclusion(merkle_leaf_hash(as_bytes(text)), index, head.size, proof, head.root)) fields.fail();
  return entry_from(text, index, asked);
}

Checkpoint head_of(const std::string& note, const VerifyKey& custodian, const Fields& fields) {
  const auto head =
      verify_checkpoint(SignedNote::parse(note), NoteVerifier(custodian_log_origin(custodian), custodian));
  if (!head) fields.fail();
  return *head;
}

/// @throws Error{kDamaged} when anything of it does not hold.
Page page_from(const std::string& body, std::uint64_t first, const Asked& asked) {
  const auto signed_text = wire_statement_from_json(parse_canonical(body, kStatement), kStatementDomain, kStatement);
  const auto object = parse_canonical(signed_text.statement, kStatement);
  Fields fields(object, kStatement);
  const auto head = head_of(fields.text("checkpoint"), asked.custodian, fields);
  Page page;
  auto least = first;
  for (const auto& item : fields.list("entries", kMaxPageEntries)) {
    page.entries.push_back(proven_entry(item, head, asked));
    if (page.entries.back().index < least) fields.fail();
    least = page.entries.back().index + 1;
  }
  page.next = fields.count("next");
  bool holds = signed_text.by == asked.custodian && fields.text("kind") == "statement" &&
               fields.hex<16>("vault") == asked.vault && fields.count("first") == first &&
               fields.time("from") == asked.from_ms && fields.time("until") == asked.until_ms &&
               (page.next == 0 || (page.next >= least && page.next > first && page.next <= head.size));
  fields.hex<16>("nonce");
  fields.time("time");
  Fields secrets(fields.any("secrets"), kStatement);
  secrets.count("case");
  secrets.count("user");
  secrets.end();
  fields.end();
  if (!holds) fields.fail();
  return page;
}

DoneOrder done_order_from(const nlohmann::json& object) {
  Fields fields(object, kAnswer);
  DoneOrder done{fields.count("number"), fields.time("done"), SignedOrder::from_json(fields.any("order"))};
  fields.end();
  return done;
}

OrderNews news_from(const std::string& body, std::uint64_t after) {
  const auto object = parse_canonical(body, kAnswer);
  Fields fields(object, kAnswer);
  OrderNews news{fields.count("number"), fields.text("state"), {}};
  for (const auto& item : fields.list("orders", kMaxOrdersShown)) news.orders.push_back(done_order_from(item));
  fields.end();
  for (const auto& order : news.orders) {
    if (order.number <= after || order.number > news.newest) fields.fail();
    after = order.number;
  }
  if (news.state != "active" && news.state != "locked" && news.state != "destroyed") fields.fail();
  return news;
}

std::string state_of(const CustodianReport& report, const std::string& state) {
  if (report.done()) return state;
  return report.refusal == "locked" || report.refusal == "destroyed" ? report.refusal : report.reason;
}

/// The size that a witness remembers, out of its answer of status 409.
std::optional<std::uint64_t> known_size(const std::string& body) {
  LineReader lines(body);
  const auto line = lines.next();
  return line && lines.rest().empty() ? from_decimal(*line) : std::nullopt;
}

/// The line of this witness, checked; lines of others are left out.
std::string cosignature_line(const SignedNote& note, const std::string& answer, const CosignatureVerifier& witness) {
  return with_cosignature(note, answer, witness).signatures().back().encode();
}

}  // namespace

std::vector<Standing> CustodyClient::standings() {
  auto& all = parts_->all;
  std::vector<std::string> states(all.size());
  const auto take = [&](std::size_t i, const std::string& body) {
    states[i] = OrdersAnswer::parse(body, all.settings().vault).state;
  };
  const auto reports = all.ask({.request = [&](std::size_t i) { return all.get(i, "/v1/orders", {}); },
                                .signer = &parts_->device.key,
                                .take = take});
  std::vector<Standing> standings;
  for (std::size_t i = 0; i < all.size(); ++i) {
    standings.push_back({all.custodian(i), reports[i].reach == Reach::kAnswered, state_of(reports[i], states[i])});
  }
  return standings;
}

std::vector<CustodianStatement> CustodyClient::statements(std::int64_t from_ms, std::int64_t until_ms,
                                                          const SigningKey& owner) {
  auto& all = parts_->all;
  require(from_ms >= 0 && until_ms >= 0, "custody: a statement from before 1970");
  std::vector<CustodianStatement> statements(all.size());
  std::vector<std::uint64_t> first(all.size());
  std::vector<std::size_t> pages(all.size());
  const auto request = [&](std::size_t i) {
    return all.get(i, "/v1/statement",
                   {{"first", first[i]},
                    {"from", static_cast<std::uint64_t>(from_ms)},
                    {"until", static_cast<std::uint64_t>(until_ms)}});
  };
  const auto take = [&](std::size_t i, const std::string& body) {
    auto page = page_from(body, first[i], {all.custodian(i).key, all.settings().vault, from_ms, until_ms});
    std::ranges::move(page.entries, std::back_inserter(statements[i].entries));
    first[i] = page.next;
    if (++pages[i] > kMaxPages) throw Error(Errc::kDamaged, kStatement + " does not end");
  };
  const auto more = [&](std::size_t i) { return first[i] == 0 ? std::nullopt : std::optional(request(i)); };
  const auto reports =
      all.ask({.request = request, .signer = &owner, .take = take, .more = more, .total = kStatementTimeout});
  for (std::size_t i = 0; i < all.size(); ++i) {
    statements[i].custodian = all.custodian(i);
    statements[i].fault = reports[i].done() ? "" : reports[i].reason;
    if (!reports[i].done()) statements[i].entries.clear();  // a part of it would look like the whole
  }
  return statements;
}

std::vector<std::pair<CustodianAddress, std::string>> CustodyClient::add_checkpoint(
    std::uint64_t old_size, const std::vector<ByteArray<32>>& proof, const std::string& note) {
  const auto prove = [&](std::uint64_t size) { return size == old_size ? proof : std::vector<ByteArray<32>>(); };
  return add_checkpoint(old_size, Prove(prove), note);
}

std::vector<std::pair<CustodianAddress, std::string>> CustodyClient::add_checkpoint(std::uint64_t old_size,
                                                                                    const Prove& prove,
                                                                                    const std::string& note) {
  auto& all = parts_->all;
  const auto checkpoint = SignedNote::parse(note);
  const auto size = Checkpoint::parse(checkpoint.unverified_text()).size;
  std::vector<std::string> lines(all.size());
  std::vector<std::optional<std::uint64_t>> remembered(all.size());
  const auto request = [&](std::size_t i) {
    const auto old = std::min(remembered[i].value_or(old_size), size);  // a log that was cut short gets no answer
    return WireRequest{"POST", "/v1/add-checkpoint", "", WitnessRequest(old, prove(old), checkpoint).encode()};
  };
  const auto instead = [&](std::size_t i, const HttpsAnswer& answer) -> std::optional<WireRequest> {
    if (answer.status != kConflict || remembered[i]) return std::nullopt;
    remembered[i] = known_size(answer.body);
    return remembered[i] && *remembered[i] <= size ? std::optional(request(i)) : std::nullopt;
  };
  const auto take = [&](std::size_t i, const std::string& body) {
    const auto& key = all.custodian(i).key;
    lines[i] = cosignature_line(checkpoint, body, CosignatureVerifier(custodian_log_origin(key), key));
  };
  all.ask({.request = request,
           .signer = &parts_->device.key,
           .take = take,
           .instead = instead,
           .content_type = "text/plain"});
  std::vector<std::pair<CustodianAddress, std::string>> cosigned;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!lines[i].empty()) cosigned.emplace_back(all.custodian(i), lines[i]);
  }
  return cosigned;
}

OrderNews CustodyClient::wait_for_orders(std::size_t custodian, std::uint64_t after) {
  auto& all = parts_->all;
  require(custodian < all.size(), "custody: no such custodian");
  OrderNews news;
  const auto reports = all.ask({.request =
                                    [&](std::size_t i) {
                                      return all.get(i, "/v1/orders/wait", {{"after", after}});
                                    },
                                .signer = &parts_->device.key,
                                .take = [&](std::size_t, const std::string& body) { news = news_from(body, after); },
                                .asks = [&](std::size_t i) { return i == custodian; },
                                .total = kOrdersTimeout});
  require_done({reports[custodian]}, 1, 1);
  return news;
}

void CustodyClient::send_receipt(const Sha256Digest& order, GuardStage stage,
                                 const std::vector<std::string>& not_reached) {
  auto& all = parts_->all;
  const auto& key = parts_->device.key;
  const nlohmann::json statement{{"device", to_hex(key.verify_key().bytes)},
                                 {"kind", "guard-receipt"},
                                 {"nonce", to_hex(random_array<16>())},
                                 {"not_reached", not_reached},
                                 {"order", to_hex(order)},
                                 {"stage", to_string(stage)},
                                 {"time", all.now_ms()},
                                 {"vault", parts_->vault()}};
  const auto receipt = to_json(sign_statement(kGuardReceiptDomain, statement, key));
  const auto take = [](std::size_t, const std::string& body) {
    const auto object = parse_canonical(body, kAnswer);
    Fields fields(object, kAnswer);
    fields.time("time");
    fields.end();
  };
  parts_->ask({.request =
                   [&](std::size_t i) {
                     return all.post(i, "/v1/receipts", {{"receipt", receipt}});
                   },
               .take = take},
              1);
}

}  // namespace casevault
