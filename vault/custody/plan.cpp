#include "vault/custody/plan.h"

#include <set>

#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxTextSize = 255;  // bytes
constexpr std::uint64_t kMaxLeaseHours = 24 * 365;

nlohmann::json to_json(const CustodianSeat& seat) {
  const auto& custodian = seat.custodian;
  return {{"address", custodian.address}, {"box", to_hex(custodian.box.bytes)},
          {"index", seat.index},          {"key", to_hex(custodian.key.bytes)},
          {"name", custodian.name},       {"pin", to_hex(custodian.pin)},
          {"place", custodian.place}};
}

std::string short_text(Fields& fields, const char* key) {
  auto text = fields.text(key);
  if (text.size() > kMaxTextSize) fields.fail();
  return text;
}

std::uint32_t number_between(Fields& fields, const char* key, std::uint64_t low, std::uint64_t high) {
  const auto number = fields.count(key);
  if (number < low || number > high) fields.fail();
  return static_cast<std::uint32_t>(number);
}

CustodianSeat seat_from(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  CustodianSeat seat;
  seat.custodian.address = short_text(fields, "address");
  seat.custodian.box.bytes = fields.hex<32>("box");
  seat.index = number_between(fields, "index", 1, 255);
  seat.custodian.key.bytes = fields.hex<32>("key");
  seat.custodian.name = short_text(fields, "name");
  seat.custodian.pin = fields.hex<32>("pin");
  seat.custodian.place = short_text(fields, "place");
  fields.end();
  return seat;
}

void require_distinct_seats(const CustodyPlan& plan, const Fields& fields) {
  std::set<std::uint32_t> indices;
  std::set<ByteArray<32>> keys;
  for (const auto& seat : plan.custodians) {
    indices.insert(seat.index);
    keys.insert(seat.custodian.key.bytes);
  }
  if (indices.size() != plan.custodians.size() || keys.size() != plan.custodians.size()) fields.fail();
}

}  // namespace

nlohmann::json to_json(const CustodyPlan& plan) {
  auto cards = nlohmann::json::array();
  for (const auto& card : plan.cards) cards.push_back(to_hex(card.bytes));
  auto custodians = nlohmann::json::array();
  for (const auto& seat : plan.custodians) custodians.push_back(to_json(seat));
  return {{"cards", cards},
          {"custodians", custodians},
          {"epoch", plan.epoch},
          {"lease_hours", plan.lease_hours},
          {"quorum", plan.quorum},
          {"salt", to_hex(plan.salt)},
          {"threshold", plan.threshold}};
}

CustodyPlan custody_plan_from_json(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  CustodyPlan plan;
  for (const auto& item : fields.list("cards", kMaxCards)) {
    const auto key = item.is_string() ? array_from_hex<32>(item.get<std::string>()) : std::nullopt;
    if (!key) fields.fail();
    plan.cards.push_back({*key});
  }
  for (const auto& item : fields.list("custodians", kMaxCustodians)) plan.custodians.push_back(seat_from(item, what));
  plan.epoch = number_between(fields, "epoch", 1, INT32_MAX);
  plan.lease_hours = number_between(fields, "lease_hours", 0, kMaxLeaseHours);
  plan.quorum = number_between(fields, "quorum", 1, plan.cards.size());
  plan.salt = fields.hex<16>("salt");
  plan.threshold = number_between(fields, "threshold", 1, plan.custodians.size());
  require_distinct_seats(plan, fields);
  fields.end();
  return plan;
}

}  // namespace casevault
