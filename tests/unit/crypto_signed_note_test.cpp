#include "crypto/signed_note.h"

#include <gmock/gmock.h>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The reason why it is refused, "" where it is not. Nothing but Error{kDamaged} is a refusal.
template <typename Parse>
std::string refusal(Parse parse) {
  try {
    parse();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return error.what();
  }
}
std::string note_refusal(std::string_view text) {
  return refusal([&] { EXPECT_EQ(SignedNote::parse(text).encode(), text); });
}

std::vector<std::string> names(const std::vector<NoteVerifier>& keys) {
  std::vector<std::string> out;
  std::ranges::transform(keys, std::back_inserter(out), &NoteVerifier::name);
  return out;
}

// ---- Published vectors.
std::string outcome(const std::string& text, const std::vector<NoteVerifier>& known) {
  std::optional<SignedNote> note;
  if (!refusal([&] { note = SignedNote::parse(text); }).empty()) return "malformed";
  EXPECT_EQ(note->encode(), text);
  std::optional<VerifiedNote> verified;
  if (!refusal([&] { verified = note->verify(known); }).empty()) return "invalid-signature";
  return verified ? "ok" : "unverified";
}

TEST(SignedNoteVectors, AllAreDecidedAsExpected) {
  const auto path = test::vector_path("signed-note/note_cases.json");
  CASEVAULT_NEEDS_VECTORS(path);
  const auto vectors = test::read_json(path);
  ASSERT_EQ(vectors["cases"].size(), 12u);
  for (const auto& c : vectors["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    std::vector<NoteVerifier> known;
    for (const auto& vkey : c["vkeys"]) {
      known.push_back(NoteVerifier::parse(vkey.get<std::string>()));
      EXPECT_EQ(known.back().encode(), vkey);
    }
    const auto text = c["note"].get<std::string>();
    const auto expected = c["expect"].get<std::string>();
    EXPECT_EQ(outcome(text, known), expected.substr(0, expected.find("-or-ok"))) << "(101 signatures: one too many)";
    if (expected != "ok") continue;
    const auto verified = SignedNote::parse(text).verify(known);
    EXPECT_EQ(verified->text, text.substr(0, text.find("\n\n") + 1));
    EXPECT_EQ(nlohmann::json(names(verified->signers)), c["verified"]);
    EXPECT_EQ(outcome("\xff" + text, known), "malformed") << "the 13th case, which JSON cannot hold";
  }
}

// The private key of the vectors makes the very signature that is there.
TEST(SignedNoteVectors, SigningGivesTheSameBytes) {
  const auto path = test::vector_path("signed-note/note_cases.json");
  CASEVAULT_NEEDS_VECTORS(path);
  const auto vectors = test::read_json(path);
  const auto secret = vectors["signer_private"].get<std::string>();  // PRIVATE+KEY+name+id+base64(0x01 ‖ seed)
  const auto bytes = from_base64(std::string_view(secret).substr(secret.find("c74f20a3+") + 9)).value();
  const auto key = SigningKey::from_seed(SigningSeed::from_bytes(ByteView(bytes).subspan<1, 32>()));
  const auto note = vectors["cases"][0]["note"].get<std::string>();
  const auto ours = SignedNote::sign(note.substr(0, note.find("\n\n") + 1), "PeterNeumann", key).encode();
  EXPECT_EQ(ours, note.substr(0, ours.size()));
}

// ---- Notes of ours.
struct Signer {
  std::string name;
  SigningKey key = SigningKey::random();
  NoteVerifier verifier() const { return {name, key.verify_key()}; }
};

NoteSignature signature_by(const Signer& signer, std::string text) {
  return SignedNote::sign(std::move(text), signer.name, signer.key).signatures()[0];
}

TEST(SignedNote, WhatIsSignedVerifies) {
  const Signer log{"casevault.example/log"};
  for (const std::string text : {"\n", "one line\n", "Справа №1\n", "a\n\nb\n", "ends empty\n\n", "\n\n\n", "\x7f\n",
                                 "a\n\n\u2014 name AAAAAAA=\n"}) {
    const auto note = SignedNote::sign(text, log.name, log.key);
    EXPECT_EQ(note_refusal(note.encode()), "") << text;
    const auto verified = SignedNote::parse(note.encode()).verify(std::vector{log.verifier()});
    ASSERT_TRUE(verified) << text;
    EXPECT_EQ(verified->text, text);
    EXPECT_THAT(names(verified->signers), ElementsAre(log.name));
  }
}

TEST(SignedNote, WrongTextsAreNotSigned) {
  const Signer log{"log"};
  for (const char* text : {"", "no newline", "tab\t\n", "\r\n", "\x01\n", "\xff\n"}) {
    EXPECT_THROW((void)SignedNote::sign(text, log.name, log.key), Error) << text;
  }
  for (const char* name : {"", "a b", "a+b", "a\n", "a\u00a0b", "a\u2003", "a\u0085", "a\xff", "\x1b"}) {
    EXPECT_THROW((void)SignedNote::sign("text\n", name, log.key), Error) << name;
  }
}

TEST(SignedNote, UnknownSignaturesAreKeptAndIgnored) {
  const Signer log{"log"}, witness{"witness"}, stranger{"stranger"};
  auto note = SignedNote::sign("text\n", stranger.name, stranger.key);
  note.append(signature_by(log, "text\n"));
  note.append({"witness", {}, Bytes(72)});  // the right name, another id: a signature of another type
  note.append({"other", log.verifier().key_id(), Bytes(64)});  // the right id, another name
  note.append(signature_by(witness, "text\n"));
  const auto parsed = SignedNote::parse(note.encode());
  EXPECT_EQ(parsed.signatures(), note.signatures());
  const std::vector known{witness.verifier(), log.verifier()};
  EXPECT_THAT(names(parsed.verify(known)->signers), ElementsAre("log", "witness"));
  EXPECT_FALSE(parsed.verify(std::vector{Signer{"log"}.verifier()}).has_value()) << "another key of that name";
  EXPECT_FALSE(parsed.verify({}).has_value());
}

TEST(SignedNote, OneForgedSignatureOfAKnownKeySpoilsAll) {
  const Signer log{"log"}, witness{"witness"};
  auto note = SignedNote::sign("text\n", log.name, log.key);
  note.append(signature_by(witness, "another text\n"));
  const std::vector known{log.verifier(), witness.verifier()};
  EXPECT_THAT(refusal([&] { (void)note.verify(known); }), HasSubstr("signature of witness"));
  EXPECT_TRUE(note.verify(std::vector{log.verifier()})) << "the witness is not known";
  auto short_one = SignedNote::sign("text\n", log.name, log.key);
  short_one.append({"witness", witness.verifier().key_id(), Bytes(63)});
  EXPECT_THAT(refusal([&] { (void)short_one.verify(known); }), HasSubstr("signature of witness"));
}

TEST(SignedNote, RepeatedSignaturesCountOnce) {
  const Signer log{"log"};
  auto note = SignedNote::sign("text\n", log.name, log.key);
  while (note.signatures().size() < kMaxNoteSignatures) note.append(note.signatures()[0]);
  EXPECT_EQ(note_refusal(note.encode()), "");
  EXPECT_THAT(names(note.verify(std::vector{log.verifier()})->signers), ElementsAre("log"));
  EXPECT_THROW(note.append(note.signatures()[0]), Error);
}

TEST(SignedNote, EveryBitCounts) {
  const Signer log{"log"};
  const std::vector known{log.verifier()};
  const auto text = SignedNote::sign("text\n", log.name, log.key).encode();
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    auto changed = text;
    changed[bit / 8] = static_cast<char>(static_cast<unsigned char>(changed[bit / 8]) ^ (1u << (bit % 8)));
    EXPECT_NE(outcome(changed, known), "ok") << changed;
  }
}

// ---- What is no note. Each row is a whole one.
const std::string kLine = "\u2014 log AAAAAAA=\n";  // key id and one byte
struct BadNote {
  std::string name, text, reason;
};
const BadNote kBadNotes[] = {
    {"Empty", "", "no signature"},
    {"OnlyNewlines", "\n\n", "no signature"},
    {"NoText", "\n" + kLine, "no signature"},
    {"NoEmptyLine", "text\n" + kLine, "no signature"},
    {"NoFinalNewline", "text\n\n" + kLine.substr(0, kLine.size() - 1), "is no signature"},
    {"HyphenForDash", "text\n\n- log AAAAAAA=\n", "is no signature"},
    {"NoSpaceBehindDash", "text\n\n\u2014log AAAAAAA=\n", "is no signature"},
    {"NoName", "text\n\n\u2014 AAAAAAA=\n", "not whole"},
    {"EmptyName", "text\n\n\u2014  AAAAAAA=\n", "name"},
    {"PlusInName", "text\n\n\u2014 a+b AAAAAAA=\n", "name"},
    {"UnicodeSpaceInName", "text\n\n\u2014 a\u3000b AAAAAAA=\n", "name"},
    {"NoSignature", "text\n\n\u2014 log \n", "base64"},
    {"OnlyKeyId", "text\n\n\u2014 log AAAAAA==\n", "too short"},
    {"BadPadding", "text\n\n\u2014 log AAAAAAA\n", "base64"},
    {"UnusedBits", "text\n\n\u2014 log AAAAAAB=\n", "base64"},
    {"TwoSpaces", "text\n\n\u2014 log  AAAAAAA=\n", "base64"},
    {"SpaceBehind", "text\n\n\u2014 log AAAAAAA= \n", "base64"},
    {"CarriageReturn", "text\n\n\u2014 log AAAAAAA=\r\n", "characters"},
    {"Tab", "te\txt\n\n" + kLine, "characters"},
    {"Zero", std::string("te\0xt\n\n", 7) + kLine, "characters"},
    {"BadUtf8", "te\xffxt\n\n" + kLine, "characters"},
    {"LineBehind", "text\n\n" + kLine + "more\n", "is no signature"},
    {"EmptyLineBehind", "text\n\n" + kLine + "\n", "no signature"},
};
class MalformedNote : public testing::TestWithParam<BadNote> {};
TEST_P(MalformedNote, IsRefused) { EXPECT_THAT(note_refusal(GetParam().text), HasSubstr(GetParam().reason)); }
INSTANTIATE_TEST_SUITE_P(SignedNote, MalformedNote, testing::ValuesIn(kBadNotes),
                         [](const auto& info) { return info.param.name; });

TEST(SignedNote, Limits) {
  EXPECT_EQ(note_refusal("text\n\n" + kLine), "");
  EXPECT_THAT(note_refusal(std::string(kMaxNoteSize, 'x') + "\n\n" + kLine), HasSubstr("too long"));
  EXPECT_EQ(note_refusal("text\n\n\u2014 log " + std::string(kMaxNoteSignatureSize, 'A') + "\n"), "");
  EXPECT_THAT(note_refusal("text\n\n\u2014 log " + std::string(kMaxNoteSignatureSize + 4, 'A') + "\n"),
              HasSubstr("too long"));
}

// ---- Verifier keys.
TEST(NoteVerifier, AllElseIsRefused) {
  const std::string good = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
  const auto reason = [](const std::string& text) { return refusal([&] { (void)NoteVerifier::parse(text); }); };
  EXPECT_EQ(reason(good), "");
  const auto with = [&](std::string_view find, std::string_view replace) {
    auto changed = good;
    return changed.replace(changed.find(find), find.size(), replace);
  };
  EXPECT_THAT(reason(""), HasSubstr("not name+id+key"));
  EXPECT_THAT(reason(with("+530d903a", "")), HasSubstr("not name+id+key"));
  EXPECT_THAT(reason(with("example.com/foo", "")), HasSubstr("its name"));
  EXPECT_THAT(reason(with("/foo", "/a b")), HasSubstr("its name"));
  EXPECT_THAT(reason(with("/foo", "/fop")), HasSubstr("does not belong"));
  EXPECT_THAT(reason(with("530d903a", "530d903b")), HasSubstr("does not belong"));
  EXPECT_THAT(reason(with("530d903a", "530D903A")), HasSubstr("malformed"));
  EXPECT_THAT(reason(with("530d903a", "530d90")), HasSubstr("malformed"));
  EXPECT_THAT(reason(with("+Ae", "+Be")), HasSubstr("not of type 1"));
  EXPECT_THAT(reason(with("U2k", "U2")), HasSubstr("malformed"));
  EXPECT_THAT(reason(with("3U2k", "")), HasSubstr("not of type 1"));
  EXPECT_THAT(reason(with("3U2k", "3U2kAAAA")), HasSubstr("not of type 1"));
  EXPECT_THAT(reason(good + "\n"), HasSubstr("malformed"));
  EXPECT_THAT(reason("a+00000000+"), HasSubstr("malformed"));
}

}  // namespace
}  // namespace casevault
