#include "crypto/age.h"

#include <gmock/gmock.h>

#include "crypto/age_armor.h"
#include "crypto/age_hybrid.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "tests/support/age_vectors.h"

namespace casevault {
namespace {

using testing::HasSubstr;

constexpr unsigned kQuickWorkFactor = 4;

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  fill_random(bytes);
  return bytes;
}

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }

template <typename... Keys>
auto list(Keys... keys) {
  std::vector<std::common_type_t<Keys...>> all;
  (all.push_back(std::move(keys)), ...);
  return all;
}

// A source that gives at most `step` bytes at a time.
Source in_steps(ByteView bytes, std::size_t step) {
  return [source = source_of(bytes), step](std::span<std::byte> out) {
    return source(out.first(std::min(out.size(), step)));
  };
}

Bytes encrypt(ByteView plain, std::span<const AgeRecipient> recipients, std::size_t step = SIZE_MAX) {
  Bytes file;
  AgeWriter writer(recipients, [&](ByteView bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); });
  for (; !plain.empty(); plain = plain.subspan(std::min(step, plain.size()))) {
    writer.write(plain.first(std::min(step, plain.size())));
  }
  writer.finish();
  return file;
}

struct Outcome {
  std::string result;  // in the words of the published vectors
  Bytes plaintext;     // all that was handed out
  Errc code = Errc::kInternal;
};

std::string name_of(AgeFault fault) {
  switch (fault) {
    case AgeFault::kArmor:
      return "armor failure";
    case AgeFault::kHeader:
      return "header failure";
    case AgeFault::kNoMatch:
      return "no match";
    case AgeFault::kMac:
      return "HMAC failure";
    case AgeFault::kPayload:
      break;
  }
  return "payload failure";
}

Outcome decrypt(Source source, std::span<const AgeIdentity> identities, std::size_t read_size = kChunkSize) {
  Outcome outcome;
  try {
    AgeReader reader(std::move(source), identities);
    Bytes piece(read_size);
    while (const std::size_t size = reader.read(piece)) {
      outcome.plaintext.insert(outcome.plaintext.end(), piece.begin(),
                               piece.begin() + static_cast<std::ptrdiff_t>(size));
    }
    EXPECT_EQ(reader.read(piece), 0u) << "it stays at the end";
    outcome.result = "success";
  } catch (const AgeError& error) {
    outcome.result = name_of(error.fault());
    outcome.code = error.code();
  }
  return outcome;
}

Outcome decrypt(ByteView file, std::span<const AgeIdentity> identities) { return decrypt(source_of(file), identities); }

template <typename Run>
Errc code_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Errc::kInternal;
}

// ---- C2SP/CCTV age vectors, every one of them.
std::vector<AgeIdentity> identities_of(const test::AgeVector& vector) {
  std::vector<AgeIdentity> identities;
  for (const auto& [name, value] : vector.fields) {
    if (name == "identity") identities.push_back(AgeIdentity::from_text(secret(value)));
    if (name == "passphrase") identities.push_back(AgeIdentity::from_passphrase(secret(value)));
  }
  return identities;
}

bool needs_hybrid(const test::AgeVector& vector) { return vector.field("identity").starts_with("AGE-SECRET-KEY-PQ-1"); }

Source opened(const test::AgeVector& vector, std::size_t step) {
  Source source = in_steps(vector.file, step);
  if (!vector.armored()) return source;
  const auto armor = std::make_shared<AgeArmorReader>(std::move(source));
  return [armor](std::span<std::byte> out) { return armor->read(out); };
}

class AgeVectors : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(AgeVectors, ComeOutAsExpected) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const test::AgeVector vector = test::read_age_vector(GetParam());
  if (!vector.readable) GTEST_SKIP() << "the vector is compressed; built without zlib";
  if (needs_hybrid(vector) && !age_hybrid_is_available()) {
    EXPECT_EQ(code_of([&] { identities_of(vector); }), Errc::kUsage);
    return;
  }
  const auto identities = identities_of(vector);
  // The sizes of reads and of the pieces that come in must not matter.
  for (const auto& [read_size, step] : {std::pair{kChunkSize, SIZE_MAX}, std::pair{std::size_t{1000}, std::size_t{777}},
                                        std::pair{3 * kChunkSize + 5, kSealedChunkSize}}) {
    const Outcome outcome = decrypt(opened(vector, step), identities, read_size);
    EXPECT_EQ(outcome.result, vector.expect());
    if (const std::string payload = vector.field("payload"); !payload.empty()) {
      EXPECT_EQ(to_hex(sha256(outcome.plaintext)), payload);
    } else {
      EXPECT_EQ(outcome.plaintext, Bytes()) << "nothing is handed out";
    }
  }
}

TEST_P(AgeVectors, HeadersEncodeToTheSameBytes) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const test::AgeVector vector = test::read_age_vector(GetParam());
  if (!vector.readable) GTEST_SKIP() << "the vector is compressed; built without zlib";
  const std::string expect = vector.expect();
  if (expect == "header failure" || expect == "armor failure") return;  // but what parses of these, the fuzzer looks at
  Bytes file(vector.file.size());
  BufferedSource whole(opened(vector, SIZE_MAX), file.size());
  const ByteView bytes = whole.take(file.size());
  file.assign(bytes.begin(), bytes.end());

  BufferedSource input(source_of(file), 3 * kAgeMaxLineSize);
  const AgeHeader header = read_age_header(input);
  const std::string encoded = encode_age_header(header);
  ASSERT_LE(encoded.size(), file.size());
  EXPECT_EQ(encoded, as_text(ByteView(file).first(encoded.size())));
  // What is left is the payload, and the MAC is that of the file key.
  EXPECT_EQ(input.take(16).size(), 16u);
  const auto file_key = FileKey::from_bytes(test::hex_array<16>(vector.field("file key")));
  EXPECT_EQ(age_header_mac(file_key, header) == header.mac, expect != "HMAC failure");
}

INSTANTIATE_TEST_SUITE_P(Age, AgeVectors, testing::ValuesIn(test::vector_files("age")), test::vector_test_name);

TEST(AgeVectorFiles, AreAllThereAndOfTheirClasses) {
  CASEVAULT_NEEDS_VECTORS(test::vector_path("age"));
  std::map<std::string, int> classes;
  for (const auto& path : test::vector_files("age")) ++classes[test::read_age_vector(path).expect()];
  EXPECT_EQ(classes, (std::map<std::string, int>{{"HMAC failure", 1},
                                                 {"armor failure", 18},
                                                 {"header failure", 50},
                                                 {"no match", 13},
                                                 {"payload failure", 13},
                                                 {"success", 20}}));
}

// ---- Round trips.
class AgeSizes : public testing::TestWithParam<std::size_t> {};

TEST_P(AgeSizes, ComeBackThroughPiecesOfAnySize) {
  const AgeIdentity identity = AgeIdentity::random();
  const auto recipients = list(identity.recipient());
  const auto identities = list(AgeIdentity::from_text(identity.text()));
  const Bytes plain = random_bytes(GetParam());
  for (const std::size_t step :
       {std::size_t{7}, std::size_t{4096}, kChunkSize - 1, kChunkSize, kChunkSize + 1, SIZE_MAX}) {
    const Bytes file = encrypt(plain, recipients, step);
    const std::size_t header = as_text(file).find("\n--- ") + 5 + 43 + 1;
    EXPECT_EQ(file.size(), header + sealed_payload_size(plain.size()));
    const std::size_t piece = std::min(step, 5 * kChunkSize);
    const Outcome outcome = decrypt(in_steps(file, step), identities, piece);
    EXPECT_EQ(outcome.result, "success");
    EXPECT_TRUE(outcome.plaintext == plain) << "written and read by " << step;
  }
}

TEST_P(AgeSizes, CutOffOrLengthenedHandOutOnlyWholeChunksBeforeTheFault) {
  const AgeIdentity identity = AgeIdentity::random();
  const auto identities = list(AgeIdentity::from_text(identity.text()));
  const Bytes plain = random_bytes(GetParam());
  const Bytes file = encrypt(plain, list(identity.recipient()));
  for (const std::size_t cut : {std::size_t{1}, std::size_t{16}, std::size_t{17}, kSealedChunkSize}) {
    const Outcome outcome = decrypt(ByteView(file).first(file.size() - std::min(cut, file.size())), identities);
    EXPECT_TRUE(outcome.result == "payload failure" || outcome.result == "header failure") << outcome.result;
    EXPECT_EQ(outcome.code, Errc::kDamaged);
    EXPECT_EQ(outcome.plaintext.size() % kChunkSize, 0u);
    EXPECT_TRUE(std::ranges::equal(outcome.plaintext, ByteView(plain).first(outcome.plaintext.size())));
  }
  for (const std::size_t more : {std::size_t{1}, std::size_t{16}, std::size_t{17}, kSealedChunkSize}) {
    EXPECT_EQ(decrypt(concat({file, Bytes(more)}), identities).result, "payload failure") << more;
  }
}

INSTANTIATE_TEST_SUITE_P(Age, AgeSizes,
                         testing::Values(0, 1, 65535, 65536, 65537, 3 * 65536, 3 * 65536 + 1, 20 * 65536));

TEST(AgeFile, OpensForEveryRecipientAndNobodyElse) {
  const Bytes plain = random_bytes(100);
  const AgeIdentity a = AgeIdentity::random(), b = AgeIdentity::random(), c = AgeIdentity::random();
  const Bytes file = encrypt(plain, list(a.recipient(), b.recipient()));
  EXPECT_EQ(decrypt(file, std::span(&a, 1)).plaintext, plain);
  EXPECT_EQ(decrypt(file, std::span(&b, 1)).plaintext, plain);
  const Outcome refused = decrypt(file, std::span(&c, 1));
  EXPECT_EQ(refused.result, "no match");
  EXPECT_EQ(refused.code, Errc::kNotAllowed);
  EXPECT_EQ(decrypt(file, {}).result, "no match");
  EXPECT_EQ(decrypt(file, list(AgeIdentity::from_text(c.text()), AgeIdentity::from_text(b.text()))).plaintext, plain);
}

TEST(AgeFile, ShareNothing) {
  const AgeIdentity identity = AgeIdentity::random();
  const auto recipients = list(identity.recipient());
  const Bytes first = encrypt(Bytes(100), recipients), second = encrypt(Bytes(100), recipients);
  constexpr std::size_t kShareAt = 22 + 10, kBodyAt = kShareAt + 44;
  for (const std::size_t at : {kShareAt, kBodyAt, first.size() - 132, first.size() - 116}) {
    EXPECT_FALSE(std::ranges::equal(ByteView(first).subspan(at, 16), ByteView(second).subspan(at, 16))) << at;
  }
}

TEST(AgeFile, OpensWithThePassphrase) {
  const Bytes plain = random_bytes(100);
  const auto recipients = list(AgeRecipient::from_passphrase(secret("correct horse"), kQuickWorkFactor));
  const Bytes file = encrypt(plain, recipients);
  EXPECT_THAT(as_text(file), HasSubstr("-> scrypt "));
  const Outcome right = decrypt(
      file, list(AgeIdentity::from_passphrase(secret("other")), AgeIdentity::from_passphrase(secret("correct horse"))));
  EXPECT_EQ(right.plaintext, plain);
  const Outcome wrong = decrypt(file, list(AgeIdentity::from_passphrase(secret("correct hors"))));
  EXPECT_EQ(wrong.result, "no match");
  EXPECT_EQ(wrong.code, Errc::kWrongPassphrase);
  EXPECT_EQ(decrypt(file, list(AgeIdentity::random())).code, Errc::kNotAllowed);
}

TEST(AgeFile, PassphraseIsWrittenWithTheWorkFactorOfAge) {
  const auto recipient = AgeRecipient::from_passphrase(secret("correct horse"));
  const FileKey file_key = FileKey::random();
  const AgeStanza stanza = recipient.wrap(file_key);
  EXPECT_EQ(stanza.arguments.at(2), "18");
  const auto opened = AgeIdentity::from_passphrase(secret("correct horse")).unwrap(std::span(&stanza, 1));
  ASSERT_TRUE(opened);
  EXPECT_TRUE(std::ranges::equal(opened->expose_secret(), file_key.expose_secret()));
}

TEST(AgeFile, AWorkFactorAboveTheLimitIsNotRun) {
  AgeStanza stanza = AgeRecipient::from_passphrase(secret("x"), kQuickWorkFactor).wrap(FileKey::random());
  for (const char* factor : {"21", "22", "63", "64", "100", "18446744073709551620"}) {
    stanza.arguments[2] = factor;
    EXPECT_THROW(AgeIdentity::from_passphrase(secret("x")).unwrap(std::span(&stanza, 1)), AgeError) << factor;
  }
}

TEST(AgeFile, PassphraseIsRefusedAmongOthersWhoeverReads) {
  AgeHeader header;
  const FileKey file_key = FileKey::random();
  const AgeIdentity identity = AgeIdentity::random();
  header.stanzas.push_back(identity.recipient().wrap(file_key));
  header.stanzas.push_back(AgeRecipient::from_passphrase(secret("x"), kQuickWorkFactor).wrap(file_key));
  header.mac = age_header_mac(file_key, header);
  const Bytes file = concat({as_bytes(encode_age_header(header)), seal_payload(file_key, Bytes(10))});
  EXPECT_EQ(decrypt(file, std::span(&identity, 1)).result, "header failure");
  EXPECT_EQ(decrypt(file, {}).result, "header failure");
}

TEST(AgeFile, IsNotWrittenForAMixtureOrNobody) {
  const auto write = [](auto recipients) {
    bool written = false;
    const Errc code = code_of([&] { AgeWriter(recipients, [&](ByteView) { written = true; }); });
    EXPECT_FALSE(written);
    return code;
  };
  const auto passphrase = [] { return AgeRecipient::from_passphrase(secret("x"), kQuickWorkFactor); };
  EXPECT_EQ(write(std::vector<AgeRecipient>()), Errc::kUsage);
  EXPECT_EQ(write(list(passphrase(), passphrase())), Errc::kUsage);
  EXPECT_EQ(write(list(passphrase(), AgeIdentity::random().recipient())), Errc::kUsage);
  if (age_hybrid_is_available()) {
    EXPECT_EQ(write(list(AgeIdentity::random().recipient(), AgeIdentity::random(AgeKeyKind::kHybrid).recipient())),
              Errc::kUsage);
  }
}

TEST(AgeFile, OpensForTheLastOfAHundred) {
  const AgeIdentity identity = AgeIdentity::random();
  std::vector<AgeRecipient> recipients;
  for (std::size_t i = 0; i < 99; ++i) recipients.push_back(AgeIdentity::random().recipient());
  recipients.push_back(identity.recipient());
  EXPECT_EQ(decrypt(encrypt({}, recipients), std::span(&identity, 1)).result, "success");
}

TEST(AgeFile, EveryByteCounts) {
  const AgeIdentity identity = AgeIdentity::random();
  const Bytes file = encrypt(random_bytes(50), list(identity.recipient()));
  for (std::size_t i = 0; i < file.size(); ++i) {
    Bytes changed = file;
    changed[i] ^= std::byte{1} << (i % 8);
    const Outcome outcome = decrypt(changed, std::span(&identity, 1));
    EXPECT_NE(outcome.result, "success") << i;
    EXPECT_EQ(outcome.plaintext, Bytes()) << i;
    EXPECT_FALSE(decrypt(ByteView(file).first(i), std::span(&identity, 1)).result == "success") << i;
  }
}

TEST(AgeFile, AStanzaOfAnUnknownTypeIsPassedOverButAuthenticated) {
  const AgeIdentity identity = AgeIdentity::random();
  const FileKey file_key = FileKey::random();
  AgeHeader header;
  header.stanzas.push_back({{"example.com/enigma", "a", "!~"}, random_bytes(96)});
  header.stanzas.push_back(identity.recipient().wrap(file_key));
  header.stanzas.push_back({{"x"}, {}});
  header.mac = age_header_mac(file_key, header);
  const Bytes payload = seal_payload(file_key, Bytes(10));
  EXPECT_EQ(decrypt(concat({as_bytes(encode_age_header(header)), payload}), std::span(&identity, 1)).result, "success");
  header.stanzas[0].body[5] ^= std::byte{1};
  EXPECT_EQ(decrypt(concat({as_bytes(encode_age_header(header)), payload}), std::span(&identity, 1)).result,
            "HMAC failure");
}

TEST(AgeFile, AMalformedStanzaIsRefusedEvenBehindOneThatOpens) {
  const AgeIdentity identity = AgeIdentity::random();
  const FileKey file_key = FileKey::random();
  AgeHeader header;
  header.stanzas.assign(2, identity.recipient().wrap(file_key));
  header.stanzas[1].arguments.emplace_back("more");
  header.mac = age_header_mac(file_key, header);
  const Bytes file = concat({as_bytes(encode_age_header(header)), seal_payload(file_key, {})});
  EXPECT_EQ(decrypt(file, std::span(&identity, 1)).result, "header failure");
}

// ---- Limits of the header; hostile ones are given up early.
AgeHeader parsed(std::string_view text) {
  BufferedSource input(source_of(as_bytes(text)), 2 * kAgeMaxLineSize);
  return read_age_header(input);
}

TEST(AgeHeaderLimits, ACutOffHeaderIsNone) {
  AgeHeader header;
  header.stanzas.assign(2, {{"x", "y"}, random_bytes(50)});
  const std::string whole = encode_age_header(header);
  EXPECT_EQ(encode_age_header(parsed(whole)), whole);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parsed(std::string_view(whole).substr(0, size)), AgeError) << size;
  }
}

TEST(AgeHeaderLimits, AsManyStanzasAsAreReadAreWritten) {
  AgeHeader header;
  header.stanzas.assign(kAgeMaxStanzas, {{"x"}, {}});
  const std::string most = encode_age_header(header);
  EXPECT_EQ(encode_age_header(parsed(most)), most);
  EXPECT_THROW(parsed(std::string(most).insert(most.find("-> x"), "-> x\n\n")), AgeError);
  header.stanzas.push_back({{"x"}, {}});
  EXPECT_EQ(code_of([&] { encode_age_header(header); }), Errc::kUsage);
}

TEST(AgeHeaderLimits, AsLongAsIsReadIsWritten) {
  AgeHeader header;
  header.stanzas.assign(10, {{"x"}, random_bytes(77000)});
  header.stanzas.push_back({{"x"}, {}});
  const auto grow = [&](std::size_t to) {  // a body of 48 bytes takes 65
    const std::size_t lines = (to - encode_age_header(header).size()) / 65;
    header.stanzas.back().body.resize(lines * 48);
    header.stanzas.back().arguments[0].append(to - encode_age_header(header).size(), 'x');
  };
  grow(kAgeMaxHeaderSize);
  const std::string most = encode_age_header(header);
  ASSERT_EQ(most.size(), kAgeMaxHeaderSize);
  EXPECT_EQ(encode_age_header(parsed(most)), most);
  EXPECT_THROW(parsed(std::string(most).insert(most.find("-> x") + 4, "x")), AgeError);
  header.stanzas.back().arguments[0] += 'x';
  EXPECT_EQ(code_of([&] { encode_age_header(header); }), Errc::kUsage);
}

TEST(AgeHeaderLimits, AsLongALineAsIsReadIsWritten) {
  AgeHeader header;
  header.stanzas.push_back({{std::string(kAgeMaxLineSize - 3, 'x')}, {}});
  const std::string most = encode_age_header(header);
  EXPECT_EQ(encode_age_header(parsed(most)), most);
  header.stanzas[0].arguments[0] += 'x';
  EXPECT_THROW(encode_age_header(header), Error);
  EXPECT_THROW(parsed(std::string(most).insert(most.find("-> x") + 4, "x")), AgeError);
}

class HostileHeader : public testing::TestWithParam<std::string> {};

TEST_P(HostileHeader, IsGivenUpBeforeMuchOfItIsRead) {
  std::uint64_t given = 0;
  const std::string& repeated = GetParam();
  const std::string start = "age-encryption.org/v1\n";
  const Source endless = [&](std::span<std::byte> out) {
    for (std::byte& b : out) {
      const char c = given < start.size() ? start[given] : repeated[(given - start.size()) % repeated.size()];
      b = static_cast<std::byte>(c);
      ++given;
    }
    return out.size();
  };
  EXPECT_EQ(decrypt(endless, {}).result, "header failure");
  EXPECT_LE(given, kAgeMaxHeaderSize + 5 * kSealedChunkSize);
}

INSTANTIATE_TEST_SUITE_P(Age, HostileHeader,
                         testing::Values("-> a\n\n",                                              // stanzas
                                         "-> a a a a a a a a a a a a a a a a a a a a a a a\n\n",  // arguments
                                         "-> a" + std::string(8000, 'a') + "\n\n",                // long arguments
                                         "-> " + std::string(10000, 'a'),                         // a long line
                                         "a",                                                     // no line
                                         "-> a\n" + std::string(100, 'A') + "\n", std::string("\0", 1),
                                         "\n",  // malformed
                                         "-> a\n" + std::string(64, 'A') + "\n" + std::string(64, 'A') +
                                             "\n\n"));  // bodies

TEST(HostileHeader, AnEndlessBodyIsGivenUp) {
  std::uint64_t given = 0;
  const std::string start = "age-encryption.org/v1\n-> a\n";
  const Source endless = [&](std::span<std::byte> out) {
    for (std::byte& b : out) {
      b = static_cast<std::byte>(given < start.size() ? start[given] : (given - start.size()) % 65 == 64 ? '\n' : 'A');
      ++given;
    }
    return out.size();
  };
  EXPECT_EQ(decrypt(endless, {}).result, "header failure");
  EXPECT_LE(given, kAgeMaxHeaderSize + 5 * kSealedChunkSize);
}

// ---- After failures.
TEST(AgeFile, AReaderThatFailedStaysFailed) {
  const AgeIdentity identity = AgeIdentity::random();
  Bytes file = encrypt(Bytes(3 * kChunkSize), list(identity.recipient()));
  file[file.size() - 2 * kSealedChunkSize] ^= std::byte{1};  // the second chunk; the third is sound
  AgeReader reader(source_of(file), std::span(&identity, 1));
  Bytes piece(kChunkSize);
  EXPECT_EQ(reader.read(piece), kChunkSize);
  EXPECT_EQ(code_of([&] { reader.read(piece); }), Errc::kDamaged);
  EXPECT_EQ(piece, Bytes(kChunkSize)) << "what was not authentic is not left behind";
  EXPECT_EQ(code_of([&] { reader.read(piece); }), Errc::kInternal);
}

TEST(AgeFile, AWriterWhoseSinkFailedCannotFinish) {
  bool fail = false;
  const AgeIdentity identity = AgeIdentity::random();
  AgeWriter writer(list(identity.recipient()), [&](ByteView) {
    if (fail) throw Error(Errc::kNoSpace, "full");
  });
  writer.write(Bytes(10));
  fail = true;
  EXPECT_EQ(code_of([&] { writer.write(Bytes(2 * kChunkSize)); }), Errc::kNoSpace);
  fail = false;
  EXPECT_EQ(code_of([&] { writer.write(Bytes(10)); }), Errc::kInternal);
  EXPECT_EQ(code_of([&] { writer.finish(); }), Errc::kInternal);
}

TEST(AgeFile, AFinishedWriterTakesNoMore) {
  AgeWriter writer(list(AgeIdentity::random().recipient()), [](ByteView) {});
  writer.finish();
  EXPECT_EQ(code_of([&] { writer.write(Bytes(1)); }), Errc::kInternal);
  EXPECT_EQ(code_of([&] { writer.finish(); }), Errc::kInternal);
}

TEST(AgeFile, WhatTheSourceThrowsPassesThrough) {
  const AgeIdentity identity = AgeIdentity::random();
  const Bytes file = encrypt(Bytes(100), list(identity.recipient()));
  Source source = source_of(file);
  bool given = false;
  AgeReader reader(
      [&](std::span<std::byte> out) {
        if (given) throw Error(Errc::kInterrupted, "stop");
        given = true;
        return source(out.first(250));
      },
      std::span(&identity, 1));
  Bytes piece(kChunkSize);
  EXPECT_EQ(code_of([&] { reader.read(piece); }), Errc::kInterrupted);
}

// ---- Texts of recipients and identities.
constexpr std::string_view kIdentityText = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
constexpr std::string_view kRecipientText = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

TEST(AgeKeys, AreAsInTheSpecification) {
  const AgeIdentity identity = AgeIdentity::from_text(secret(kIdentityText));
  EXPECT_EQ(identity.kind(), AgeKeyKind::kX25519);
  EXPECT_EQ(as_text(identity.text().expose_secret()), kIdentityText);
  EXPECT_EQ(identity.recipient().text(), kRecipientText);
  EXPECT_EQ(AgeRecipient::from_text(kRecipientText).text(), kRecipientText);
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

class NoAgeRecipient : public testing::TestWithParam<std::string> {};
TEST_P(NoAgeRecipient, IsRefused) {
  EXPECT_EQ(code_of([] { AgeRecipient::from_text(GetParam()); }), Errc::kUsage);
  EXPECT_EQ(code_of([] { AgeIdentity::from_text(secret(GetParam())); }), Errc::kUsage);
}
INSTANTIATE_TEST_SUITE_P(
    Age, NoAgeRecipient,
    testing::Values("", "age1", std::string(kRecipientText.substr(0, 61)), std::string(kRecipientText) + " ",
                    upper(std::string(kRecipientText)),
                    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk", to_bech32("age", Bytes(31)),
                    to_bech32("age", Bytes(33)), to_bech32("age1", Bytes(32)),
                    to_bech32("age", Bytes(32)),  // zero is a point of small order
                    to_bech32("agf", test::hex(std::string(62, '0') + "09")), to_bech32("age1pq", Bytes(32)),
                    to_bech32("AGE-SECRET-KEY-", Bytes(31)), to_bech32("AGE-SECRET-KEY-", Bytes(33)),
                    to_bech32("age-secret-key-", Bytes(32)), to_bech32("AGE-SECRET-KEY", Bytes(32)),
                    to_bech32("AGE-PLUGIN-X-", Bytes(32)), to_bech32("AGE-SECRET-KEY-PQ-", Bytes(31)),
                    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIZXq"));

TEST(AgeKeys, EmptyPassphrasesAreRefused) {
  EXPECT_EQ(code_of([] { AgeRecipient::from_passphrase(SecretBytes()); }), Errc::kUsage);
  EXPECT_EQ(code_of([] { AgeIdentity::from_passphrase(SecretBytes()); }), Errc::kUsage);
}

TEST(AgeKeys, ARefusedIdentityIsNotInTheMessage) {
  std::string text(kIdentityText);
  text.back() = 'Q';
  try {
    AgeIdentity::from_text(secret(text));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("GFPYY")));
  }
}

// ---- Post-quantum recipients.
constexpr std::string_view kHybridIdentityText =
    "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";  // of the specification

TEST(AgeHybrid, WithoutXWingTheReasonIsNamed) {
  if (age_hybrid_is_available()) GTEST_SKIP() << "this build has X-Wing";
  const auto message = [](auto run) {
    try {
      run();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::kUsage);
      return std::string(error.what());
    }
    return std::string();
  };
  for (const std::string& text : {message([] { AgeIdentity::from_text(secret(kHybridIdentityText)); }),
                                  message([] { AgeIdentity::random(AgeKeyKind::kHybrid); }),
                                  message([] { AgeRecipient::from_text(to_bech32("age1pq", Bytes(1216))); })}) {
    EXPECT_THAT(text, testing::AllOf(HasSubstr("X-Wing"), HasSubstr("1.0.22"), HasSubstr("built with libsodium 1.")));
  }
}

TEST(AgeHybrid, KeysAreAsInTheSpecification) {
  if (!age_hybrid_is_available()) GTEST_SKIP() << "built with a libsodium without X-Wing";
  const AgeIdentity identity = AgeIdentity::from_text(secret(kHybridIdentityText));
  EXPECT_EQ(as_text(identity.text().expose_secret()), kHybridIdentityText);
  const std::string recipient = identity.recipient().text();
  EXPECT_EQ(recipient.size(), 1959u);
  EXPECT_TRUE(recipient.starts_with("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87p"));
  EXPECT_EQ(to_hex(sha256(as_bytes(recipient))), "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea");
  EXPECT_EQ(AgeRecipient::from_text(recipient).text(), recipient);
}

TEST(AgeHybrid, FilesOpenForEveryRecipientAndNobodyElse) {
  if (!age_hybrid_is_available()) GTEST_SKIP() << "built with a libsodium without X-Wing";
  const Bytes plain = random_bytes(70000);
  const AgeIdentity a = AgeIdentity::random(AgeKeyKind::kHybrid), b = AgeIdentity::random(AgeKeyKind::kHybrid);
  const Bytes file = encrypt(plain, list(AgeRecipient::from_text(a.recipient().text()), b.recipient()));
  EXPECT_EQ(decrypt(file, list(AgeIdentity::from_text(a.text()))).plaintext, plain);
  EXPECT_EQ(decrypt(file, std::span(&b, 1)).plaintext, plain);
  EXPECT_EQ(decrypt(file, list(AgeIdentity::random(AgeKeyKind::kHybrid))).result, "no match");
  EXPECT_EQ(decrypt(file, list(AgeIdentity::random())).result, "no match");
}

TEST(AgeHybrid, AnUnusableKeyIsRefused) {
  if (!age_hybrid_is_available()) GTEST_SKIP() << "built with a libsodium without X-Wing";
  Bytes key = from_bech32(AgeIdentity::random(AgeKeyKind::kHybrid).recipient().text())->data;
  Bytes small_order = key, out_of_range = key;
  std::fill(small_order.end() - 32, small_order.end(), std::byte{0});
  std::fill_n(out_of_range.begin(), 3, std::byte{0xff});  // coefficients are below 3329
  for (const Bytes& bad : {small_order, out_of_range, Bytes(key.begin(), key.end() - 1)}) {
    EXPECT_EQ(code_of([&] { AgeRecipient::from_text(to_bech32("age1pq", bad)); }), Errc::kUsage);
  }
  EXPECT_EQ(AgeRecipient::from_text(to_bech32("age1pq", key)).kind(), AgeKeyKind::kHybrid);
}

}  // namespace
}  // namespace casevault
