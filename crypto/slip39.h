#pragma once
#include <optional>
#include <string>
#include <vector>

#include "crypto/secret.h"

namespace casevault {

// SLIP-0039 (SatoshiLabs, "Shamir's Secret-Sharing for Mnemonic Codes"): a secret split into shares that people can
// write down and read aloud. Everything of it is read; what is made is one group, K of N, 256 bits, without a
// passphrase: 33 words a share. The digest inside shows whether shares gave the secret that was split, the RS1024
// checksum whether a share was copied right: any three wrong words are noticed.

/// What a vault's trustees hold together.
using RecoverySeed = Key<struct RecoverySeedPurpose>;

inline constexpr unsigned kMaxSlip39Shares = 16;
inline constexpr std::size_t kSlip39Words256 = 33;  // words of a share of 256 bits

/// One share. The value is secret, the rest is not.
struct Slip39Share {
  std::uint16_t identifier = 0;  // 15 bits, the same for all shares of a set
  bool extendable = true;
  std::uint8_t iteration_exponent = 0;  // 0…15
  std::uint8_t group_index = 0;         // 0…15
  std::uint8_t group_threshold = 1;     // 1…group_count
  std::uint8_t group_count = 1;         // 1…16
  std::uint8_t member_index = 0;        // 0…15
  std::uint8_t member_threshold = 1;    // 1…16
  SecretBytes value;

  /// Reads words as people write them: capitals, commas, line breaks and numbers ("12." or "12)") between them do not
  /// matter. @throws Error{kDamaged} saying which word (counted from 1) is not in the list and which ones are near;
  /// that there are too many or too few; that the checksum is wrong, and at which word where one word alone explains
  /// it; that the padding is.
  static Slip39Share parse(const SecretBytes& words);
  /// The words with single spaces. @pre the fields are within their ranges
  SecretBytes words() const;
};

/// What the shares of one set have in common, as people see it: the first two words. "academic acid"
std::string slip39_set_name(std::uint16_t identifier, bool extendable = true, std::uint8_t iteration_exponent = 0);

/// Random coefficients, the digest share, encryption under the empty passphrase; the new shares are combined once
/// before they are returned. @pre 2 <= threshold <= count <= kMaxSlip39Shares, identifier < 2^15
std::vector<Slip39Share> slip39_split(const RecoverySeed& secret, std::uint16_t identifier, unsigned threshold,
                                      unsigned count);

/// What a set still lacks; empty when slip39_combine can begin.
struct Slip39Missing {
  unsigned groups = 0;  // further ones
  unsigned shares = 0;  // of the groups that were begun
};
/// @throws Error{kUsage} when shares are of different sets (naming the sets) or one is there twice.
std::optional<Slip39Missing> slip39_missing(const std::vector<Slip39Share>& shares);

/// The secret of exactly the shares that are needed, or more. `passphrase`: printable ASCII; another one than the
/// secret was split with gives another secret, and nothing shows it.
/// @throws Error: kUsage as slip39_missing, and when there are too few; kDamaged when the digest shows that what came
/// out is not what was split.
SecretBytes slip39_combine(const std::vector<Slip39Share>& shares, const SecretBytes& passphrase);

/// The secret of a vault's shares. @throws Error{kDamaged} when it is of another length.
RecoverySeed slip39_seed(const SecretBytes& secret);

}  // namespace casevault
