#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/custody/http_client.h"
#include "vault/custody/plan.h"
#include "vault/environment.h"

namespace casevault {

/// Whom to ask about which vault.
struct CustodySettings {
  VaultId vault{};
  std::vector<CustodianSeat> custodians;  // different keys; different indices, or 0 where no shares are asked for
  std::size_t threshold = 1;              // how many are needed to open anything
};

/// How one custodian took a request.
struct CustodianReport {
  std::string name;
  Reach reach = Reach::kNotNeeded;
  std::string refusal;  // the word of the protocol, where it refused
  std::string reason;   // a clause for people; empty where it did as asked, or was not needed
  bool done() const { return reach == Reach::kAnswered && refusal.empty(); }
};

/// What a custodian's answer of status 200 may turn out to be after all. Thrown by Question::take.
struct RefusedInside {
  std::string word;
};

/// Asks all custodians of a vault the same, each in words of its own, and sums up what they said. What comes from them
/// is bounded and checked; what is malformed counts as Reach::kNonsense. One thread at a time.
class AllCustodians {
 public:
  /// @throws Error{kUsage} for a proxy that is none, kInternal for settings that are none.
  AllCustodians(CustodySettings settings, const Environment& environment);

  const CustodySettings& settings() const { return settings_; }
  std::int64_t now_ms() const { return now_ms_(); }
  std::size_t size() const { return settings_.custodians.size(); }
  const CustodianAddress& custodian(std::size_t index) const { return settings_.custodians[index].custodian; }

  /// `index` below is the place of a custodian among the settings' custodians.
  struct Question {
    /// Made when it is sent, and again when a custodian's clock asks for it.
    std::function<WireRequest(std::size_t index)> request;
    const SigningKey* signer = nullptr;  // of RFC 9421; nullptr: not signed
    /// Takes the body of an answer of status 200. What it throws as Error{kDamaged} makes the answer nonsense.
    std::function<void(std::size_t index, const std::string& body)> take;
    /// After `take`: what else to ask of this custodian before it has done as asked.
    std::function<std::optional<WireRequest>(std::size_t index)> more = {};
    /// The same for an answer of another status.
    std::function<std::optional<WireRequest>(std::size_t index, const HttpsAnswer& answer)> instead = {};
    std::function<bool(std::size_t index)> asks = {};  // whom; empty: all
    /// The rest is dropped as soon as this many did as asked.
    std::size_t enough = kMaxCustodians;
    std::function<bool()> has_enough = {};                // where it takes more than counting
    std::optional<std::chrono::milliseconds> total = {};  // longer than usual
    std::string content_type = "application/json";
  };
  /// Reports stand as the custodians do. @throws Error{kInterrupted}
  std::vector<CustodianReport> ask(const Question& question);

  /// `{…fields, "to","vault"}` as a POST.
  WireRequest post(std::size_t index, std::string path, nlohmann::json fields) const;
  /// Parameters in alphabetical order, `to` and `vault` among them.
  WireRequest get(std::size_t index, std::string path, const std::map<std::string, std::uint64_t>& parameters) const;
  /// A statement to one custodian: `{…fields, "kind","nonce","time","to","vault"}`.
  WireStatement statement(std::size_t index, std::string_view domain, std::string_view kind, nlohmann::json fields,
                          const SigningKey& by) const;

 private:
  class Asking;
  CustodySettings settings_;
  std::function<std::int64_t()> now_ms_;
  HttpClient http_;
  std::vector<std::int64_t> clock_offset_;  // seconds that a custodian's clock is ahead of ours
};

/// Nothing when at least `need` did as asked. @throws Error saying why not: kDestroyed or kCustodiansRefused when at
/// least `threshold` refused with the same word, else kTooFewCustodians, naming each and what happened.
void require_done(const std::vector<CustodianReport>& reports, std::size_t need, std::size_t threshold);

}  // namespace casevault
