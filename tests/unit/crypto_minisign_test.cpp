#include "crypto/minisign.h"

#include <gmock/gmock.h>

#include <sstream>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex_array;
using testing::HasSubstr;

// The reason why it is refused, "" where it is not. Nothing but Error{kDamaged} is a refusal.
std::string refusal(std::string_view text) {
  try {
    EXPECT_EQ(MinisignSignature::parse(text).encode(), text);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return error.what();
  }
}

// ---- Published vectors.
TEST(MinisignVectors, PrehashedVerifyAndLegacyAreRefused) {
  const auto path = test::vector_path("minisign/cases.json");
  CASEVAULT_NEEDS_VECTORS(path);
  const auto vectors = test::read_json(path);
  const auto key = MinisignPublicKey::parse(vectors["public_key"].get<std::string>());
  EXPECT_EQ(key.encode(), vectors["public_key"]);
  const auto message = minisign_digest(as_bytes(vectors["message"].get<std::string>()));
  ASSERT_EQ(vectors["cases"].size(), 4u);
  for (const auto& c : vectors["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const auto text = c["minisig"].get<std::string>();
    const bool legacy = c["name"].get<std::string>().starts_with("legacy");
    EXPECT_THAT(refusal(text), HasSubstr(legacy ? "not prehashed" : ""));
    EXPECT_EQ(refusal(text).empty(), !legacy);
    if (legacy) continue;
    const auto signature = MinisignSignature::parse(text);
    EXPECT_EQ(signature.untrusted_comment(), "signature from minisign secret key");
    EXPECT_THAT(signature.verify(key, message), testing::Optional(HasSubstr("\tfile:test")));
    EXPECT_FALSE(signature.verify(key, minisign_digest(as_bytes("Test"))));
  }
}

// ---- A key of ours: the secret of RFC 8032, test 1. minisign 0.11 accepts the signature that is written out here.
const MinisignKeyId kId = hex_array<8>("1fe8b442180f62e7");

struct Signer {
  SigningKey key = SigningKey::from_seed(
      SigningSeed::from_bytes(hex_array<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")));
  MinisignPublicKey public_key{kId, key.verify_key()};
  MinisignSignature sign(std::string_view message, std::string trusted = "bag of C-1", std::string untrusted = "ours") {
    return MinisignSignature::sign(key, kId, minisign_digest(as_bytes(message)), std::move(trusted),
                                   std::move(untrusted));
  }
};

TEST(Minisign, IsWrittenSoForEver) {
  EXPECT_EQ(Signer().sign("message\n").encode(),
            "untrusted comment: ours\n"
            "RUQf6LRCGA9i5zlFLoQG6+1vk4vSHKEo+z7dHuB9Gh2rrVwE/lxKpzEbArP/4pZ+cb++a6wdWak2GvdcKM9DM/2VEDh71bJXAgI=\n"
            "trusted comment: bag of C-1\n"
            "CEAoJeBzvNj82aGYMdIC4wggtKY+FH4F7+C8+ayZPqPnTB1kNsxzMA3z8oGL1YM3uKHeaZ2jS7fBL9wJP1aBDw==\n");
}

TEST(Minisign, SignatureIsOfTheMessageAndTheTrustedComment) {
  Signer anna;
  const auto signature = anna.sign("message");
  EXPECT_EQ(signature.key_id(), kId);
  EXPECT_EQ(signature.verify(anna.public_key, minisign_digest(as_bytes("message"))), "bag of C-1");
  EXPECT_FALSE(signature.verify(anna.public_key, minisign_digest(as_bytes("massage"))));
  EXPECT_FALSE(signature.verify({kId, SigningKey::random().verify_key()}, minisign_digest(as_bytes("message"))));
  EXPECT_FALSE(signature.verify({{}, anna.key.verify_key()}, minisign_digest(as_bytes("message")))) << "another key id";
}

// Every character of every line but the first is signed, checked, or fixed.
TEST(Minisign, EveryCharacterCounts) {
  Signer anna;
  const auto digest = minisign_digest(as_bytes("message"));
  const auto text = anna.sign("message").encode();
  const auto authenticated = [&](const std::string& changed) {
    try {
      return MinisignSignature::parse(changed).verify(anna.public_key, digest).has_value();
    } catch (const Error&) {
      return false;
    }
  };
  ASSERT_TRUE(authenticated(text));
  for (std::size_t i = text.find('\n'); i < text.size(); ++i) {
    for (const unsigned mask : {1u, 2u, 0x20u}) {
      auto changed = text;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ mask);
      EXPECT_FALSE(authenticated(changed)) << changed;
    }
    EXPECT_FALSE(authenticated(text.substr(0, i)));
  }
}

// A trusted comment of another signature by the same key under the same message is as good; of another message, not.
TEST(Minisign, TrustedCommentsCannotBeExchanged) {
  Signer anna;
  const auto lines = [&](std::string_view message, std::string comment) {
    std::vector<std::string> out;
    std::istringstream in(anna.sign(message, std::move(comment)).encode());
    for (std::string line; std::getline(in, line);) out.push_back(line + "\n");
    return out;
  };
  const auto one = lines("one", "of one"), two = lines("two", "of two");
  const auto mixed = MinisignSignature::parse(one[0] + one[1] + two[2] + two[3]);
  EXPECT_FALSE(mixed.verify(anna.public_key, minisign_digest(as_bytes("one"))));
}

TEST(Minisign, CommentsOfAllowedKindsAndLengths) {
  Signer anna;
  for (const std::string& comment : {std::string(), std::string("a\tb"), std::string("Справа №1 \u00a0"),
                                     std::string(kMaxMinisignUntrustedComment, 'x')}) {
    const auto text = anna.sign("m", comment, comment).encode();
    EXPECT_EQ(refusal(text), "");
    EXPECT_EQ(MinisignSignature::parse(text).verify(anna.public_key, minisign_digest(as_bytes("m"))), comment);
  }
  EXPECT_EQ(refusal(anna.sign("m", std::string(kMaxMinisignTrustedComment, 'x'),
                              std::string(kMaxMinisignUntrustedComment, 'x'))
                        .encode()),
            "");
  for (const std::string& comment :
       {std::string("a\nb"), std::string("a\rb"), std::string("\x1b[2J"), std::string("\x7f"), std::string("\u0085"),
        std::string("\xff"), std::string(1, '\0'), std::string(kMaxMinisignTrustedComment + 1, 'x')}) {
    EXPECT_THROW(anna.sign("m", comment), Error) << comment;
    EXPECT_THROW(anna.sign("m", "", comment), Error) << comment;
  }
  EXPECT_THROW(anna.sign("m", "", std::string(kMaxMinisignUntrustedComment + 1, 'x')), Error);
}

// ---- What is no signature. Each row changes a good one.
struct BadSignature {
  std::string name, find, replace, reason;
};
const BadSignature kBadSignatures[] = {
    {"NoUntrustedPrefix", "untrusted comment: ", "comment: ", "a line of comment is missing"},
    {"UntrustedPrefixInUpperCase", "untrusted", "Untrusted", "a line of comment is missing"},
    {"NoTrustedPrefix", "trusted comment: bag", "bag", "a line of comment is missing"},
    {"SecondUntrustedComment", "\ntrusted", "\nuntrusted", "a line of comment is missing"},
    {"EmptyLineBefore", "untrusted comment: o", "\nuntrusted comment: o", "a line of comment is missing"},
    {"EmptyLineBetween", "\nRUQ", "\n\nRUQ", "a signature is missing"},
    {"SpaceBehindSignature", "\ntrusted", " \ntrusted", "a signature is missing"},
    {"CarriageReturns", "C-1\n", "C-1\r\n", "characters that it must not have"},
    {"CarriageReturnBehindSignature", "\ntrusted", "\r\ntrusted", "a signature is missing"},
    {"EscapeInTrustedComment", "bag", "\x1b[2J", "characters that it must not have"},
    {"EscapeInUntrustedComment", "ours", "\x1b[2J", "characters that it must not have"},
    {"BadUtf8", "ours", "\xc3(", "characters that it must not have"},
    {"C1Control", "ours", "\u009b2J", "characters that it must not have"},
    {"UnknownAlgorithm", "\nRUQ", "\nRVQ", "its algorithm is unknown"},
    {"Legacy", "\nRUQ", "\nRWQ", "of the old form"},
    {"FifthLine", "END", "more\n", "behind its four lines"},
    {"FifthLineEmpty", "END", "\n", "behind its four lines"},
};
class Malformed : public testing::TestWithParam<BadSignature> {};
TEST_P(Malformed, IsRefused) {
  auto text = Signer().sign("message").encode();
  const auto at = GetParam().find == "END" ? text.size() : text.find(GetParam().find);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, GetParam().find == "END" ? 0 : GetParam().find.size(), GetParam().replace);
  EXPECT_THAT(refusal(text), HasSubstr(GetParam().reason));
}
INSTANTIATE_TEST_SUITE_P(Minisign, Malformed, testing::ValuesIn(kBadSignatures),
                         [](const auto& info) { return info.param.name; });

TEST(Minisign, LongCommentsAreRefused) {
  const auto text = Signer().sign("message").encode();
  const auto with = [&](std::string_view find, std::size_t size) {
    auto changed = text;
    return changed.replace(changed.find(find), find.size(), std::string(size, 'x'));
  };
  EXPECT_EQ(refusal(with("ours", kMaxMinisignUntrustedComment)), "");
  EXPECT_THAT(refusal(with("ours", kMaxMinisignUntrustedComment + 1)), HasSubstr("too long"));
  EXPECT_EQ(refusal(with("bag of C-1", kMaxMinisignTrustedComment)), "");
  EXPECT_THAT(refusal(with("bag of C-1", kMaxMinisignTrustedComment + 1)), HasSubstr("too long"));
  EXPECT_THAT(refusal(std::string(kMaxMinisignFile + 1, 'x')), HasSubstr("too long"));
}

// ---- Digests. BLAKE2b-512 of "abc": RFC 7693 appendix A.
TEST(MinisignHasher, IsBlake2b512InPieces) {
  const auto expected =
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925a"
      "b92386edd4009923";
  MinisignHasher hasher;
  for (int round = 0; round < 2; ++round) {  // finish starts anew
    hasher.update(as_bytes("a"));
    hasher.update({});
    hasher.update(as_bytes("bc"));
    EXPECT_EQ(to_hex(hasher.finish()), expected);
  }
  EXPECT_EQ(to_hex(minisign_digest(as_bytes("abc"))), expected);
}

// ---- Public keys.
TEST(MinisignPublicKey, LineAndFileAndBack) {
  const MinisignPublicKey key{kId, SigningKey::random().verify_key()};
  EXPECT_EQ(key.encode().size(), 56u);
  EXPECT_THAT(key.encode(), testing::StartsWith("RW"));
  EXPECT_EQ(MinisignPublicKey::parse(key.encode()), key);
  EXPECT_THAT(key.encode_file(), testing::StartsWith("untrusted comment: minisign public key E7620F1842B4E81F\nRW"));
  for (const auto& text :
       {key.encode_file(), key.encode() + "\n", key.encode(), "untrusted comment: of Анна\n" + key.encode()}) {
    EXPECT_EQ(MinisignPublicKey::parse_file(text), key) << text;
  }
}

TEST(MinisignPublicKey, AllElseIsRefused) {
  const std::string line = MinisignPublicKey{kId, SigningKey::random().verify_key()}.encode();
  for (const std::string& text : {std::string(), line + "\n", " " + line, line.substr(0, 55), line + "AAAA",
                                  "RU" + line.substr(2), line.substr(0, 52), line + line}) {
    EXPECT_THROW((void)MinisignPublicKey::parse(text), Error) << text;
  }
  const std::string comment = "untrusted comment: x\n", end = "\n", long_end = std::string(1004, 'x') + end;
  for (const auto& pieces : std::vector<std::vector<std::string>>{{line, end, end},
                                                                  {line, "\r", end},
                                                                  {"comment", end, line},
                                                                  {"untrusted comment: \x1b\n", line},
                                                                  {comment},
                                                                  {comment, comment, line},
                                                                  {comment, line, line},
                                                                  {comment, line, "\nmore"},
                                                                  {"untrusted comment: ", long_end, line}}) {
    std::string text;
    for (const auto& piece : pieces) text += piece;
    EXPECT_THROW((void)MinisignPublicKey::parse_file(text), Error) << text;
  }
}

}  // namespace
}  // namespace casevault
