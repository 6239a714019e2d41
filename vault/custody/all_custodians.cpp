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
constexpr std::string_view kUnlockHint =
    "ask the holders of the cards, as agreed; they type: casevault order status --card FILE; then several of them: "
    "casevault order issue unlock --card FILE";
constexpr std::array kRefusals{
    Refusal{"locked", 403,
            "the vault, or this user or case of it, was locked by an order; it opens again after an unlock order",
            kUnlockHint},
    Refusal{
        "silent", 403,
        "this vault locked itself because its machine was silent for too long; it opens again after an unlock order",
        kUnlockHint},
    Refusal{"destroyed", 403, "this was destroyed by an order, and the custodians have deleted their shares of it", ""},
    Refusal{"burned", 403, "this machine was burned by an order, and is refused for ever",
            "its people go on with another machine: casevault custody enroll-device"},
    Refusal{"tries", 403, "too many wrong passphrases: this user is locked until an unlock order",
            "casevault order issue unlock --user NAME --card FILE --card FILE"},
    Refusal{"order", 403,
            "the order is expired, signed with a card that was replaced, or about something unknown there", ""},
    Refusal{
        "waiting", 403,
        "an order of this card, of the same kind or four of other kinds, waits for the signatures of others already",
        "let them sign that one: casevault order status --card FILE"},
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
  const auto object = parse_canonical(answer.body, "a custodian's answer");
  Fields fields(object, "a custodian's answer");
  const auto* const refusal = find_refusal(fields.text("error"));
  fields.text("message");
  fields.end();
  return refusal != nullptr && refusal->status == answer.status ? refusal : nullptr;
}

/// nullptr: no answer of the protocol.
void refuse(CustodianReport& report, const Refusal* refusal) {
  if (refusal == nullptr) {
    report.reach = Reach::kNonsense;
    report.reason = "it gives nonsense";
    return;
  }
  report.reason = refusal->sentence;
  if (is_passing(*refusal)) {
    report.reach = Reach::kTooSlow;
  } else {
    report.refusal = refusal->word;
  }
}

void check_settings(const CustodySettings& settings) {
  const auto count = settings.custodians.size();
  bool holds = count >= 1 && count <= kMaxCustodians && settings.threshold >= 1 && settings.threshold <= count;
  std::set<std::uint32_t> indices;
  std::set<ByteArray<32>> keys;
  for (const auto& custodian : settings.custodians) {
    holds &= keys.insert(custodian.custodian.key.bytes).second && custodian.index <= kMaxIndex;
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
    for (const auto& seat : all.settings_.custodians) reports_.push_back({.name = seat.custodian.name});
    clock_was_taken_.resize(all.size());
  }

  std::vector<CustodianReport> run() {
    std::vector<HttpsCall> calls;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (question_.asks && !question_.asks(i)) continue;
      asked_.push_back(i);
      calls.push_back(call(i, question_.request(i)));
    }
    left_ = asked_.size();
    auto timeouts = all_.http_.has_proxy() ? kProxyTimeouts : kDirectTimeouts;
    if (question_.total) timeouts.total = std::max(timeouts.total, *question_.total);
    all_.http_.send(calls, timeouts,
                    [&](std::size_t at, const HttpsAnswer& answer) { return judge(asked_[at], answer); });
    return std::move(reports_);
  }

 private:
  HttpsCall call(std::size_t index, WireRequest request) const {
    const auto& to = all_.custodian(index);
    HttpsCall made{to.address, to.pin, std::move(request), {}, question_.content_type};
    if (question_.signer != nullptr) {
      const auto created = all_.now_ms_() / 1000 + all_.clock_offset_[index];
      made.signature = sign_request(made.request, *question_.signer, created);
    }
    return made;
  }

  HttpClient::Next judge(std::size_t index, const HttpsAnswer& answer) {
    std::optional<WireRequest> next;
    reports_[index] = {.name = all_.custodian(index).name, .reach = answer.reach, .reason = answer.reason};
    if (answer.reach == Reach::kAnswered) next = follow(index, answer);
    if (next) return {.again = call(index, *std::move(next))};
    --left_;
    return {.enough = has_enough() || is_decided()};
  }

  /// What to ask next of this custodian; nullopt when its report is final.
  std::optional<WireRequest> follow(std::size_t index, const HttpsAnswer& answer) {
    auto& report = reports_[index];
    try {
      if (answer.status != 200) return follow_refusal(index, answer);
      question_.take(index, answer.body);
      return question_.more ? question_.more(index) : std::nullopt;
    } catch (const RefusedInside& inside) {
      refuse(report, find_refusal(inside.word));
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      refuse(report, nullptr);
    } catch (const nlohmann::json::exception&) {  // a field of another type than it should be
      refuse(report, nullptr);
    }
    return std::nullopt;
  }

  std::optional<WireRequest> follow_refusal(std::size_t index, const HttpsAnswer& answer) {
    // A clock of a custodian's own is taken once; whatever it says is of use to nobody but itself.
    if (answer.status == 401 && answer.clock && !clock_was_taken_[index]) {
      clock_was_taken_[index] = true;
      all_.clock_offset_[index] = *answer.clock - all_.now_ms_() / 1000;
      return question_.request(index);
    }
    if (question_.instead) {
      if (auto next = question_.instead(index, answer)) return next;
    }
    refuse(reports_[index], refusal_of(answer));
    return std::nullopt;
  }

  std::size_t done() const {
    const auto count = std::ranges::count_if(reports_, &CustodianReport::done);
    return static_cast<std::size_t>(count);
  }
  bool has_enough() const { return question_.has_enough ? question_.has_enough() : done() >= question_.enough; }
  // Those that are still silent cannot change the outcome.
  bool is_decided() const {
    return question_.enough < asked_.size() && done() + left_ < question_.enough &&
           !common_refusal(reports_, all_.settings_.threshold).empty();
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
      http_(environment.proxy, environment.interrupted),
      clock_offset_(settings_.custodians.size()) {
  check_settings(settings_);
}

std::vector<CustodianReport> AllCustodians::ask(const Question& question) { return Asking(*this, question).run(); }

WireRequest AllCustodians::post(std::size_t index, std::string path, nlohmann::json fields) const {
  fields["to"] = to_hex(custodian(index).key.bytes);
  fields["vault"] = to_hex(settings_.vault);
  return {"POST", std::move(path), "", fields.dump()};
}

WireRequest AllCustodians::get(std::size_t index, std::string path,
                               const std::map<std::string, std::uint64_t>& parameters) const {
  std::map<std::string, std::string> texts{{"to", to_hex(custodian(index).key.bytes)},
                                           {"vault", to_hex(settings_.vault)}};
  for (const auto& [name, value] : parameters) texts[name] = std::to_string(value);
  std::string query;
  for (const auto& [name, value] : texts) (query += query.empty() ? '?' : '&').append(name).append("=").append(value);
  return {"GET", std::move(path), std::move(query), ""};
}

WireStatement AllCustodians::statement(std::size_t index, std::string_view domain, std::string_view kind,
                                       nlohmann::json fields, const SigningKey& by) const {
  fields["kind"] = kind;
  fields["nonce"] = to_hex(random_array<16>());
  fields["time"] = now_ms_() + 1000 * clock_offset_[index];  // its own clock, once it has told
  fields["to"] = to_hex(custodian(index).key.bytes);
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
      impostor
          ? "where somebody else answers, the connection may be led astray on purpose: try another network"
          : "is this machine on the network? Try another one, or Tor: --proxy 127.0.0.1:9050; else telephone those "
            "who run the custodians named here");
}

}  // namespace casevault
