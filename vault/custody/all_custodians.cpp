#include "vault/custody/all_custodians.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::uint32_t kMaxIndex = 255;

/// A word of docs/custody-protocol.md section 2, and what it means for people.
struct Refusal {
  std::string_view word;
  int status;
  std::string_view sentence;
  std::string_view hint;
};

constexpr std::string_view kEnrolHint = "enrol this machine: casevault custody enroll-device";
constexpr std::array kRefusals{
    Refusal{"locked", 403, "this vault was locked by an order; it opens again after an unlock order", ""},
    Refusal{
        "silent", 403,
        "this vault locked itself because its machine was silent for too long; it opens again after an unlock order",
        ""},
    Refusal{"destroyed", 403, "this was destroyed by an order, and the custodians have deleted their shares of it", ""},
    Refusal{"burned", 403, "this machine was burned by an order, and is refused for ever",
            "its people go on with another machine: casevault custody enroll-device"},
    Refusal{"tries", 403, "too many wrong passphrases: this user is locked until an unlock order", ""},
    Refusal{"order", 403, "the order is expired, for another vault, or not signed as it must be", ""},
    Refusal{"token", 403, "the invitation was used already, or is older than seven days",
            "ask for another one: casevault custodian invite"},
    Refusal{"unsigned", 401, "the custodians do not know this machine", kEnrolHint},
    Refusal{"signature", 401, "the custodians do not know this machine, or who signed is not allowed to", kEnrolHint},
    Refusal{"time", 401, "the clocks of the custodians do not agree with themselves", ""},
    Refusal{"replay", 401, "the request had been answered already", ""},
    Refusal{"unknown", 404, "the custodians do not know this vault, or have nothing of what was asked for", ""},
    Refusal{"conflict", 409, "the custodians hold something else already", ""},
    Refusal{"malformed", 400, "the custodians do not understand the request: they are of another version", ""},
    Refusal{"too-large", 413, "the request is larger than the custodians allow", ""},
    Refusal{"slow", 408, "too busy", ""},
    Refusal{"rate", 429, "too busy", ""},
    Refusal{"busy", 503, "too busy", ""},
};

const Refusal* find_refusal(std::string_view word) {
  const auto* const found = std::ranges::find(kRefusals, word, &Refusal::word);
  return found == kRefusals.end() ? nullptr : found;
}

// It has nothing against the request, and may answer it another time.
bool is_passing(const Refusal& refusal) {
  return refusal.status == 408 || refusal.status == 429 || refusal.status == 503;
}

/// What an answer other than 200 says; nullptr when it is not one of the protocol. The sentence in it is the
/// custodian's, and is not shown.
const Refusal* refusal_of(const HttpsAnswer& answer) {
  Fields fields(parse_canonical(answer.body, "a custodian's answer"), "a custodian's answer");
  const auto* const refusal = find_refusal(fields.text("error"));
  fields.text("message");
  fields.end();
  return refusal != nullptr && refusal->status == answer.status ? refusal : nullptr;
}

CustodianReport nonsense(const CustodianAddress& custodian) {
  return {.name = custodian.name, .reach = Reach::kNonsense, .reason = "it gives nonsense"};
}

CustodianReport report_of(const CustodianAddress& custodian, const Refusal& refusal) {
  CustodianReport report{.name = custodian.name, .reach = Reach::kAnswered, .reason = std::string(refusal.sentence)};
  if (is_passing(refusal)) {
    report.reach = Reach::kTooSlow;
  } else {
    report.refusal = refusal.word;
  }
  return report;
}

void check_settings(const CustodySettings& settings) {
  const auto count = settings.custodians.size();
  bool holds = count >= 1 && count <= kMaxCustodians && settings.threshold >= 1 && settings.threshold <= count;
  std::set<std::uint32_t> indices;
  std::set<ByteArray<32>> keys;
  for (const auto& custodian : settings.custodians) {
    holds &= keys.insert(custodian.address.key.bytes).second && custodian.index <= kMaxIndex;
    holds &= custodian.index == 0 || indices.insert(custodian.index).second;
  }
  require(holds, "custody: these are no custodians of a vault");
}

std::string summary(const std::vector<CustodianReport>& reports, std::size_t need) {
  const auto done = std::ranges::count_if(reports, &CustodianReport::done);
  std::string text = "too few custodians: " + std::to_string(need) + " of " + std::to_string(reports.size()) +
                     " are needed, " + std::to_string(done) + " did what was asked";
  for (const auto& report : reports) {
    if (report.reason.empty()) continue;
    text += "; " + report.name + (report.refusal.empty() ? ": " : " refuses: ") + report.reason;
  }
  return text;
}

/// The word that at least `threshold` refused with, or empty.
std::string common_refusal(const std::vector<CustodianReport>& reports, std::size_t threshold) {
  std::map<std::string, std::size_t> counts;
  for (const auto& report : reports) {
    if (!report.refusal.empty() && ++counts[report.refusal] >= threshold) return report.refusal;
  }
  return {};
}

}  // namespace

/// One `ask`, while it lasts.
class AllCustodians::Asking {
 public:
  Asking(AllCustodians& all, const Question& question) : all_(all), question_(question) {
    for (const auto& custodian : all.settings_.custodians) reports_.push_back({.name = custodian.address.name});
    clock_was_taken_.resize(all.size());
  }

  std::vector<CustodianReport> run() {
    std::vector<HttpsCall> calls;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (question_.only && *question_.only != i) continue;
      asked_.push_back(i);
      calls.push_back(call(i, question_.request(i)));
    }
    left_ = asked_.size();
    auto timeouts = all_.http_.has_proxy() ? kProxyTimeouts : kDirectTimeouts;
    if (question_.total) timeouts.total = *question_.total;
    all_.http_.send(calls, timeouts,
                    [&](std::size_t at, const HttpsAnswer& answer) { return judge(asked_[at], answer); });
    return std::move(reports_);
  }

 private:
  HttpsCall call(std::size_t index, WireRequest request) const {
    const auto& to = all_.settings_.custodians[index].address;
    HttpsCall made{to.address, to.pin, std::move(request), {}, question_.content_type};
    if (question_.signer != nullptr) {
      const auto created = all_.now_ms_() / 1000 + all_.clock_offset_[index];
      made.signature = sign_request(made.request, *question_.signer, created);
    }
    return made;
  }

  HttpClient::Next judge(std::size_t index, const HttpsAnswer& answer) {
    if (auto again = second_request(index, answer)) return {.again = call(index, *std::move(again))};
    reports_[index] = report(index, answer);
    --left_;
    return {.enough = has_enough() || is_decided()};
  }

  // A clock of a custodian's own is taken once; whatever it says is of no use to anybody but itself.
  std::optional<WireRequest> second_request(std::size_t index, const HttpsAnswer& answer) {
    if (answer.reach != Reach::kAnswered) return std::nullopt;
    if (answer.status == 401 && answer.clock && !clock_was_taken_[index]) {
      clock_was_taken_[index] = true;
      all_.clock_offset_[index] = *answer.clock - all_.now_ms_() / 1000;
      return question_.request(index);
    }
    return question_.again ? question_.again(index, answer) : std::nullopt;
  }

  CustodianReport report(std::size_t index, const HttpsAnswer& answer) {
    const auto& custodian = all_.settings_.custodians[index].address;
    if (answer.reach != Reach::kAnswered) {
      return {.name = custodian.name, .reach = answer.reach, .reason = answer.reason};
    }
    try {
      if (answer.status != 200) {
        const auto* const refusal = refusal_of(answer);
        return refusal != nullptr ? report_of(custodian, *refusal) : nonsense(custodian);
      }
      question_.take(index, answer.body);
      return {.name = custodian.name, .reach = Reach::kAnswered};
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
    } catch (const nlohmann::json::exception&) {  // a field of another type than it should be
    }
    return nonsense(custodian);
  }

  std::size_t done() const { return static_cast<std::size_t>(std::ranges::count_if(reports_, &CustodianReport::done)); }
  bool has_enough() const { return question_.has_enough ? question_.has_enough() : done() >= question_.enough; }
  // Those that are still silent cannot change the outcome.
  bool is_decided() const {
    const auto need = std::min(question_.enough, asked_.size());
    return done() + left_ < need && !common_refusal(reports_, all_.settings_.threshold).empty();
  }

  AllCustodians& all_;
  const Question& question_;
  std::vector<CustodianReport> reports_;
  std::vector<bool> clock_was_taken_;
  std::vector<std::size_t> asked_;
  std::size_t left_ = 0;
};

AllCustodians::AllCustodians(CustodySettings settings, const Environment& environment)
    : settings_(std::move(settings)),
      now_ms_(environment.now_ms),
      http_(settings_.proxy, environment.interrupted),
      clock_offset_(settings_.custodians.size()) {
  check_settings(settings_);
}

std::vector<CustodianReport> AllCustodians::ask(const Question& question) { return Asking(*this, question).run(); }

WireRequest AllCustodians::post(std::size_t index, std::string path, nlohmann::json fields) const {
  fields["to"] = to_hex(settings_.custodians[index].address.key.bytes);
  fields["vault"] = to_hex(settings_.vault);
  return {"POST", std::move(path), "", fields.dump()};
}

WireStatement AllCustodians::statement(std::size_t index, std::string_view domain, std::string_view kind,
                                       nlohmann::json fields, const SigningKey& by) const {
  fields["kind"] = kind;
  fields["nonce"] = to_hex(random_array<16>());
  fields["time"] = now_ms_();
  fields["to"] = to_hex(settings_.custodians[index].address.key.bytes);
  fields["vault"] = to_hex(settings_.vault);
  return sign_statement(domain, fields, by);
}

void require_done(const std::vector<CustodianReport>& reports, std::size_t need, std::size_t threshold) {
  if (static_cast<std::size_t>(std::ranges::count_if(reports, &CustodianReport::done)) >= need) return;
  const auto* const refusal = find_refusal(common_refusal(reports, threshold));
  if (refusal != nullptr) {
    const auto code = refusal->word == "destroyed" ? Errc::kDestroyed : Errc::kCustodiansRefused;
    throw Error(code, std::string(refusal->sentence), std::string(refusal->hint));
  }
  const bool impostor = std::ranges::any_of(reports, [](const auto& r) { return r.reach == Reach::kWrongPin; });
  throw Error(
      Errc::kTooFewCustodians, summary(reports, need),
      impostor ? "where somebody else answers, the connection may be led astray on purpose: try another network" : "");
}

void join_reports(std::vector<CustodianReport>& reports, const std::vector<CustodianReport>& more) {
  if (reports.empty()) {
    reports = more;
    return;
  }
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].done()) reports[i] = more[i];
  }
}

}  // namespace casevault
