#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/custody/http_client.h"
#include "vault/environment.h"

namespace casevault {

/// A custodian of a vault.
struct VaultCustodian {
  CustodianAddress address;
  std::uint32_t index = 0;  // x of the shares it keeps, 1…255; 0 where no shares are asked for, as with a card
};

struct CustodySettings {
  VaultId vault{};
  std::vector<VaultCustodian> custodians;  // different keys, different indices
  std::size_t threshold = 1;               // how many are needed to open anything
  std::string proxy;                       // empty, or socks5h://HOST:PORT
};

/// How one custodian took a request.
struct CustodianReport {
  std::string name;
  Reach reach = Reach::kNotNeeded;
  std::string refusal;  // the word of the protocol, where it refused
  std::string reason;   // a clause for people; empty where it did as asked, or was not needed
  bool done() const { return reach == Reach::kAnswered && refusal.empty(); }
};

/// Asks all custodians of a vault the same, each in words of its own, and sums up what they said. What comes from them
/// is bounded and checked; what is malformed counts as Reach::kNonsense. One thread at a time.
class AllCustodians {
 public:
  /// @throws Error{kUsage} for a proxy that is none, kInternal for settings that are none.
  AllCustodians(CustodySettings settings, const Environment& environment);

  const CustodySettings& settings() const { return settings_; }
  std::size_t size() const { return settings_.custodians.size(); }

  struct Question {
    /// Made when it is sent, and again when a custodian's clock asks for it.
    std::function<WireRequest(std::size_t index)> request;
    const SigningKey* signer = nullptr;  // of RFC 9421; nullptr: not signed
    /// Takes the body of an answer of status 200. What it throws as Error{kDamaged} makes the answer nonsense.
    std::function<void(std::size_t index, const std::string& body)> take;
    /// The rest is dropped as soon as this many did as asked.
    std::size_t enough = kMaxCustodians;
    /// In place of `enough`, where it takes more than counting.
    std::function<bool()> has_enough = {};
    /// A second request to a custodian whose answer asks for one; nullopt: its answer counts.
    std::function<std::optional<WireRequest>(std::size_t index, const HttpsAnswer& answer)> again = {};
    std::optional<std::size_t> only = {};                 // one custodian instead of all
    std::optional<std::chrono::milliseconds> total = {};  // longer than usual
    std::string content_type = "application/json";
  };
  /// Reports stand as the custodians do. @throws Error{kInterrupted}
  std::vector<CustodianReport> ask(const Question& question);

  /// `{…fields, "to","vault"}` as a POST.
  WireRequest post(std::size_t index, std::string path, nlohmann::json fields) const;
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

/// One report out of two rounds: the first that is not done.
void join_reports(std::vector<CustodianReport>& reports, const std::vector<CustodianReport>& more);

}  // namespace casevault
