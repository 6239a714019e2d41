#pragma once
#include <string>
#include <vector>

#include "crypto/secret.h"

namespace casevault {

/// Passphrases below this are refused. At Argon2id's cost of a new vault, 2^60 tries are beyond everybody.
inline constexpr double kMinimumPassphraseBits = 60;

struct PassphraseStrength {
  double bits = 0;       // log2 of the guesses that a clever adversary needs
  std::string weakness;  // what it mostly is, in plain words without any part of it: "it is a common password"
  bool is_enough() const { return bits >= kMinimumPassphraseBits; }
};

/// An estimate by zxcvbn (Wheeler, USENIX Security 2016), whose word lists are English, which counts bytes and takes
/// spaces for surprises. So the text is also rated without what stands between words, in Cyrillic as what the same keys
/// give on a Latin keyboard and as its transliteration, and whatever can be a word counts 13 bits at most; the lowest
/// counts. `names` (user, organisation) are words that an adversary tries first. It is an upper bound: a line of a
/// famous poem passes.
PassphraseStrength rate_passphrase(const SecretBytes& passphrase, const std::vector<std::string>& names);

/// How long half of 2^bits tries take somebody who has the disk and a thousand graphics cards: "three days", "longer
/// than anybody can wait".
std::string guessing_time(double bits);

}  // namespace casevault
