#include <algorithm>

#include "crypto/cosignature.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "crypto/text_lines.h"
#include "crypto/witness_request.h"
#include "vault/custody/client_parts.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::chrono::seconds kOrdersTimeout{55};  // a custodian answers after 50 at the latest
constexpr int kConflict = 409;
const std::string kAnswer = "a custodian's answer";

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
  std::vector<OrdersAnswer> answers(all.size());
  const auto take = [&](std::size_t i, const std::string& body) {
    answers[i] = OrdersAnswer::parse(body, all.settings().vault);
  };
  const auto reports = all.ask({.request = [&](std::size_t i) { return all.get(i, "/v1/orders", {}); },
                                .signer = &parts_->device.key,
                                .take = take});
  std::vector<Standing> standings;
  for (std::size_t i = 0; i < all.size(); ++i) {
    standings.push_back({all.custodian(i), reports[i].reach == Reach::kAnswered, state_of(reports[i], answers[i].state),
                         reports[i].done() ? answers[i].silence_ms : 0});
  }
  return standings;
}

std::vector<CustodianStatement> CustodyClient::statements(std::int64_t from_ms, std::int64_t until_ms,
                                                          const SigningKey& by) {
  return ask_for_statements(parts_->all, from_ms, until_ms, by);
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
