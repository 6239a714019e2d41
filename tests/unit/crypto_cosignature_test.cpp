#include "crypto/cosignature.h"

#include <gmock/gmock.h>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using testing::HasSubstr;

// The reason why it is refused, "" where it is not. Nothing but Error{kDamaged} is a refusal.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return error.what();
  }
}

// ---- What the world's witnesses have signed: a checkpoint of a public log of certificates in May 2026, under which
// the log signed twice (one signature of another type) and two of its witnesses cosigned.
const std::string kPublicText =
    "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n";
const std::string kPublicNote =
    kPublicText +
    "\n\u2014 arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzal"
    "ApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n"
    "\u2014 arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9"
    "g8Ei59RA23oHP7Ry1k3ZFWwQ=\n"
    "\u2014 witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJ"
    "bqmNWVuE0tgh0XwzdZsDsUAQ==\n"
    "\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxt"
    "qB0DrAWfBw==\n";
constexpr std::string_view kPublicLog =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
constexpr std::string_view kPublicWitnesses[] = {
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
};

TEST(Cosignature, PublicWitnesses) {
  const auto note = SignedNote::parse(kPublicNote);
  EXPECT_EQ(note.encode(), kPublicNote);
  EXPECT_EQ(verify_checkpoint(note, NoteVerifier::parse(kPublicLog))->size, 1432088532u);
  for (const auto vkey : kPublicWitnesses) {
    const auto witness = CosignatureVerifier::parse(vkey);
    EXPECT_EQ(witness.encode(), vkey);
    const auto said = verify_cosignature(note, witness);
    ASSERT_TRUE(said) << vkey;
    EXPECT_EQ(said->time, 1779573024u);
    EXPECT_EQ(said->checkpoint, Checkpoint::parse(kPublicText));
  }
}

TEST(Cosignature, PublicOnesOfAnotherTreeAreForged) {
  auto text = kPublicNote;
  text.replace(text.find("1432088532"), 10, "1432088531");
  const auto note = SignedNote::parse(text);
  for (const auto vkey : kPublicWitnesses) {
    EXPECT_THAT(refusal([&] { (void)verify_cosignature(note, CosignatureVerifier::parse(vkey)); }),
                HasSubstr("is not valid"));
  }
}

// ---- Ours.
struct Witness {
  std::string name = "custodian.example/w1";
  SigningKey key = SigningKey::random();
  CosignatureVerifier verifier() const { return {name, key.verify_key()}; }
  NoteSignature cosign(const Checkpoint& checkpoint, std::uint64_t time) const {
    return casevault::cosign(checkpoint, name, key, time);
  }
};

const Checkpoint kCheckpoint{"casevault.example/log", 7, merkle_leaf_hash({}), {"an extension"}};

SignedNote signed_by_log(const Checkpoint& checkpoint) { return sign_checkpoint(checkpoint, SigningKey::random()); }

SignedNote with(SignedNote note, const std::vector<NoteSignature>& signatures) {
  for (const auto& signature : signatures) note.append(signature);
  return note;
}

// The same bytes as Python's `cryptography` gives for the seed 00 01 … 1f.
TEST(Cosignature, KnownAnswer) {
  const auto seed = test::hex_array<32>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const auto key = SigningKey::from_seed(SigningSeed::from_bytes(seed));
  const Checkpoint checkpoint =
      Checkpoint::parse("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
  EXPECT_EQ(CosignatureVerifier("witness.example/w1", key.verify_key()).encode(),
            "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
  EXPECT_EQ(
      cosign(checkpoint, "witness.example/w1", key, 1679315147).encode(),
      "\u2014 witness.example/w1 "
      "519lMgAAAABkGFDLBuRDazBLVac2NE+Y+IjbjQOcXLfF9CSDZVUIoS83rE1nFZsVE8YiWV6Ngr7lV8H6bdoBQGP/l73euDMQ9k+bBQ==\n");
}

TEST(Cosignature, WhatIsCosignedVerifies) {
  const Witness witness;
  for (const std::uint64_t time : {std::uint64_t{1}, std::uint64_t{1679315147}, kMaxCosignatureTime}) {
    const auto note = with(signed_by_log(kCheckpoint), {witness.cosign(kCheckpoint, time)});
    const auto said = verify_cosignature(SignedNote::parse(note.encode()), witness.verifier());
    ASSERT_TRUE(said);
    EXPECT_EQ(said->time, time);
    EXPECT_EQ(said->checkpoint, kCheckpoint);
  }
  EXPECT_THROW((void)witness.cosign(kCheckpoint, 0), Error);
  EXPECT_THROW((void)witness.cosign(kCheckpoint, kMaxCosignatureTime + 1), Error);
  EXPECT_THROW((void)cosign(kCheckpoint, "two words", witness.key, 1), Error);
}

TEST(Cosignature, OthersAreIgnored) {
  const Witness witness, stranger, other_name{"custodian.example/w2"};
  const auto note =
      with(signed_by_log(kCheckpoint), {stranger.cosign(kCheckpoint, 5), other_name.cosign(kCheckpoint, 5)});
  EXPECT_FALSE(verify_cosignature(note, witness.verifier()));
  // A plain signature of the same key and name has another key id: it is no cosignature, nor the other way round.
  const auto plain = SignedNote::sign(kCheckpoint.encode(), witness.name, witness.key);
  EXPECT_FALSE(verify_cosignature(plain, witness.verifier()));
  const auto both = with(plain, {witness.cosign(kCheckpoint, 5)});
  EXPECT_EQ(both.verify(std::vector{NoteVerifier(witness.name, witness.key.verify_key())})->signers.size(), 1u);
  EXPECT_EQ(verify_cosignature(both, witness.verifier())->time, 5u);
}

TEST(Cosignature, TheLatestOfSeveralCounts) {
  const Witness witness;
  const auto note = with(signed_by_log(kCheckpoint), {witness.cosign(kCheckpoint, 5), witness.cosign(kCheckpoint, 9),
                                                      witness.cosign(kCheckpoint, 7)});
  EXPECT_EQ(verify_cosignature(note, witness.verifier())->time, 9u);
}

TEST(Cosignature, EveryBitCounts) {
  const Witness witness;
  const auto good = witness.cosign(kCheckpoint, 1679315147);
  for (std::size_t bit = 0; bit < 8 * good.bytes.size(); ++bit) {
    auto changed = good;
    changed.bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto note = with(signed_by_log(kCheckpoint), {changed});
    EXPECT_THAT(refusal([&] { (void)verify_cosignature(note, witness.verifier()); }), HasSubstr("is not valid"));
  }
}

TEST(Cosignature, MalformedOnesAreForged) {
  const Witness witness;
  const auto reason = [&](const Bytes& bytes) {
    const auto note = with(signed_by_log(kCheckpoint), {{witness.name, witness.verifier().key_id(), bytes}});
    return refusal([&] { (void)verify_cosignature(note, witness.verifier()); });
  };
  const auto of_time = [&](std::uint64_t time) {  // as a key signs that does not keep to the limits
    const auto message = "cosignature/v1\ntime " + std::to_string(time) + "\n" + kCheckpoint.encode();
    return concat({be64(time), witness.key.sign_raw(as_bytes(message))});
  };
  EXPECT_EQ(reason(of_time(1)), "");
  EXPECT_THAT(reason(of_time(0)), HasSubstr("is not valid"));
  EXPECT_THAT(reason(of_time(kMaxCosignatureTime + 1)), HasSubstr("is not valid"));
  auto bytes = of_time(1);
  bytes.push_back({});
  EXPECT_THAT(reason(bytes), HasSubstr("is not valid"));
  bytes.resize(71);
  EXPECT_THAT(reason(bytes), HasSubstr("is not valid"));
  const auto bare = witness.key.sign_raw(as_bytes(kCheckpoint.encode()));
  EXPECT_THAT(reason({bare.begin(), bare.end()}), HasSubstr("is not valid")) << "a signature of type 0x01";
}

TEST(Cosignature, OnlyCheckpointsAreCosigned) {
  const Witness witness;
  const std::string text = "no checkpoint\n";
  const auto message = "cosignature/v1\ntime 5\n" + text;
  auto note = SignedNote::sign(text, "log", SigningKey::random());
  note.append({witness.name, witness.verifier().key_id(), concat({be64(5), witness.key.sign_raw(as_bytes(message))})});
  EXPECT_THAT(refusal([&] { (void)verify_cosignature(note, witness.verifier()); }), HasSubstr("checkpoint is damaged"));
}

// ---- Answers of a witness.
TEST(WitnessAnswer, ItsOwnLineIsTaken) {
  const Witness witness, other{"other.example/w"};
  const auto own = witness.cosign(kCheckpoint, 5);
  const std::string answer =
      other.cosign(kCheckpoint, 5).encode() + own.encode() + "\u2014 " + witness.name + " AAAAAAA=\n";
  const auto note = with_cosignature(signed_by_log(kCheckpoint), answer, witness.verifier());
  ASSERT_EQ(note.signatures().size(), 2u);
  EXPECT_EQ(note.signatures()[1], own);
  EXPECT_EQ(verify_cosignature(note, witness.verifier())->time, 5u);
}

TEST(WitnessAnswer, AllElseIsRefused) {
  const Witness witness, other{"other.example/w"};
  const auto reason = [&](const std::string& answer) {
    return refusal([&] { (void)with_cosignature(signed_by_log(kCheckpoint), answer, witness.verifier()); });
  };
  const auto good = witness.cosign(kCheckpoint, 5).encode();
  EXPECT_EQ(reason(good), "");
  EXPECT_THAT(reason(""), HasSubstr("no signature"));
  EXPECT_THAT(reason("\n" + good), HasSubstr("is no signature")) << "it would begin another note";
  EXPECT_THAT(reason("x\n\n" + good), HasSubstr("is no signature"));
  EXPECT_THAT(reason(good + "\n"), HasSubstr("is no signature"));
  EXPECT_THAT(reason(good.substr(0, good.size() - 1)), HasSubstr("is no signature"));
  EXPECT_THAT(reason(other.cosign(kCheckpoint, 5).encode()), HasSubstr("no cosignature of its key"));
  auto another = kCheckpoint;
  another.size = 8;
  EXPECT_THAT(reason(witness.cosign(another, 5).encode()), HasSubstr("is not valid"));
  auto full = signed_by_log(kCheckpoint);
  while (full.signatures().size() < kMaxNoteSignatures) full.append(full.signatures()[0]);
  EXPECT_THAT(refusal([&] { (void)with_cosignature(full, good, witness.verifier()); }), HasSubstr("no room"));
}

// ---- Verifier keys.
TEST(CosignatureVerifier, OnlyOfItsType) {
  const Witness witness;
  const NoteVerifier plain(witness.name, witness.key.verify_key());
  EXPECT_EQ(CosignatureVerifier::parse(witness.verifier().encode()), witness.verifier());
  EXPECT_THAT(refusal([&] { (void)CosignatureVerifier::parse(plain.encode()); }), HasSubstr("not of type 4"));
  EXPECT_THAT(refusal([&] { (void)NoteVerifier::parse(witness.verifier().encode()); }), HasSubstr("not of type 1"));
  auto text = std::string(kPublicWitnesses[0]);
  text.replace(text.find("da77ade7"), 8, "da77ade8");
  EXPECT_THAT(refusal([&] { (void)CosignatureVerifier::parse(text); }), HasSubstr("does not belong"));
}

}  // namespace
}  // namespace casevault
