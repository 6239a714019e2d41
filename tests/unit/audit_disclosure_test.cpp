#include "vault/audit/disclosure.h"

#include <gmock/gmock.h>

#include "crypto/aead.h"
#include "crypto/disclose.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/tlog_proof.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

constexpr std::size_t kEntryAt = 4 + 80 + 80;
constexpr std::string_view kEntryKeyLabel = "casevault/v1/audit-entry-key";

// A record made by hand from docs/format.md section 9.
struct HandMade {
  Identity anna = Identity::random();
  UserKeys keys = public_half(anna, "Анна");
  VaultId vault = random_array<16>();
  AuditSessionKey session = AuditSessionKey::random();
  TreeHash root_before = merkle_leaf_hash(as_bytes("before"));

  std::string json() const {
    return R"({"action":"cat","by":")" + to_hex(anna.id) +
           R"(","device":"desk","objects":"C-1/E-3","outcome":"done","time":1714550400000})";
  }
  Bytes plain(std::uint64_t index) const {
    const auto text = json();
    const auto message = concat({vault, be64(index), root_before, as_bytes(text)});
    Bytes out = concat({anna.signing.sign("casevault/v1/audit-entry", message), root_before,
                        ByteView(be32(static_cast<std::uint32_t>(text.size()))).subspan(2), as_bytes(text)});
    out.resize(kAuditRecordSize - kEntryAt - kAeadOverhead);
    return out;
  }
  AuditEntryKey entry_key(std::uint64_t index) const {
    return derive_key<AuditEntryKey>(session, kEntryKeyLabel, be64(index));
  }
  DisclosedEntry disclose_at(std::uint64_t index) const {
    const auto place = concat({vault, be64(index)});
    const auto sealed = aead_seal(entry_key(index), plain(index), place);
    const auto record = concat(
        {as_bytes("CVA1"), seal_to(BoxKeyPair::random().public_key, session), random_array<80>(), ByteView(sealed)});
    EXPECT_EQ(record.size(), kAuditRecordSize);
    return {vault, index, to_array<kAuditRecordSize>(record), disclose(entry_key(index)), keys};
  }
};

TEST(DisclosedEntry, WritesCanonicalJsonAndReadsItBack) {
  const HandMade made;
  const auto entry = made.disclose_at(7);
  const auto text = encode_disclosed(entry);
  EXPECT_EQ(text, R"({"casevault":"audit-entry","entry_key":")" + to_hex(entry.entry_key) +
                      R"(","index":7,"record":")" + to_base64(entry.record) + R"(","user":{"box":")" +
                      to_hex(made.keys.box.bytes) + R"(","id":")" + to_hex(made.keys.id) +
                      R"(","name":"Анна","sign":")" + to_hex(made.keys.sign.bytes) + R"("},"vault":")" +
                      to_hex(made.vault) + R"("})");
  EXPECT_LT(text.size(), 2000u);
  EXPECT_EQ(parse_disclosed(text), entry);
  EXPECT_EQ(encode_disclosed(parse_disclosed(text)), text);

  auto nobody = entry;
  nobody.user.reset();
  EXPECT_THAT(encode_disclosed(nobody), testing::HasSubstr(R"("user":null)"));
  EXPECT_EQ(parse_disclosed(encode_disclosed(nobody)), nobody);
}

// What somebody outside does: the key in the disclosure opens this entry, and its signature is by the key named.
TEST(DisclosedEntry, OpensTheEntryInItsRecordAndNoOther) {
  const HandMade made;
  const auto read = parse_disclosed(encode_disclosed(made.disclose_at(7)));
  const auto place = concat({read.vault, be64(read.index)});
  const auto sealed = ByteView(read.record).subspan(kEntryAt);
  const auto plain = aead_open(ByteView(read.entry_key), sealed, place);
  ASSERT_TRUE(plain);
  const auto bytes = plain->expose_secret();
  EXPECT_TRUE(std::ranges::equal(bytes, made.plain(7)));
  const auto signed_part = concat({place, made.root_before, as_bytes(made.json())});
  EXPECT_TRUE(verify(read.user->sign, "casevault/v1/audit-entry", signed_part, to_array<64>(bytes)));

  const auto other = made.disclose_at(8);  // the same session, the next entry
  EXPECT_FALSE(aead_open(ByteView(read.entry_key), ByteView(other.record).subspan(kEntryAt),
                         concat({other.vault, be64(other.index)})));
}

// In a proof, as `audit prove` will write it.
TEST(DisclosedEntry, GoesAsExtraDataIntoAProof) {
  const HandMade made;
  const auto entry = made.disclose_at(1);
  const std::vector<TreeHash> leaves{made.root_before, entry.leaf_hash(), merkle_leaf_hash(as_bytes("after"))};
  MerkleFrontier frontier;
  for (const auto& leaf : leaves) frontier.append(leaf);
  const SigningKey log = SigningKey::random();
  const auto json = encode_disclosed(entry);
  const TlogProof proof{1, inclusion_proof(leaves, 1),
                        sign_checkpoint({"casevault.example/log", 3, frontier.root(), {}}, log),
                        Bytes(as_bytes(json).begin(), as_bytes(json).end())};
  const auto read = TlogProof::parse(proof.encode());
  const auto disclosed = parse_disclosed(as_text(read.unauthenticated_extra()));
  const auto proven = read.verify(disclosed.leaf_hash(), {"casevault.example/log", log.verify_key()});
  EXPECT_EQ(proven.index, disclosed.index);
  EXPECT_EQ(proven.root_before, made.root_before) << "the root of a tree of one leaf is the leaf";
}

// ---- What is refused. Each row changes a good one.
struct BadDisclosure {
  std::string name, find, replace;
};
const BadDisclosure kBadDisclosures[] = {
    {"OtherKind", "audit-entry", "audit-entries"},
    {"WhiteSpace", "\"index\":7", "\"index\": 7"},
    {"Unsorted", "{\"casevault\":\"audit-entry\",", "{\"index\":7,\"casevault\":\"audit-entry\","},
    {"KeyInUpperCase", "\"entry_key\":\"00", "\"entry_key\":\"0A"},
    {"KeyTooShort", "\"entry_key\":\"00", "\"entry_key\":\""},
    {"IndexNegative", "\"index\":7", "\"index\":-7"},
    {"IndexFraction", "\"index\":7", "\"index\":7.0"},
    {"IndexTooLarge", "\"index\":7", "\"index\":9007199254740993"},
    {"IndexText", "\"index\":7", "\"index\":\"7\""},
    {"RecordTooShort", "\"record\":\"AAAA", "\"record\":\""},
    {"RecordTooLong", "\"record\":\"", "\"record\":\"AAAA"},
    {"RecordNotBase64", "\"record\":\"AAAA", "\"record\":\"A*AA"},
    {"UnknownField", "\"index\":7", "\"index\":7,\"more\":1"},
    {"MissingField", "\"index\":7,", ""},
    {"UserText", "\"user\":{\"box\"", "\"user\":\"anna\",\"x\":{\"box\""},
    {"UserEmpty", "\"user\":null", "\"user\":{}"},
    {"UserWithMore", "\"name\":\"anna\"", "\"name\":\"anna\",\"role\":\"owner\""},
    {"UserNameNotAllowed", "\"name\":\"anna\"", "\"name\":\"an/na\""},
    {"VaultTooShort", "\"vault\":\"00", "\"vault\":\""},
    {"Behind", "END", " "},
    {"NoJson", "{", ""},
};
class MalformedDisclosure : public testing::TestWithParam<BadDisclosure> {};
TEST_P(MalformedDisclosure, IsRefused) {
  DisclosedEntry entry;
  entry.index = 7;
  if (GetParam().find.find("null") == std::string::npos) entry.user = UserKeys{{}, "anna", {}, {}};
  auto text = encode_disclosed(entry);
  ASSERT_EQ(parse_disclosed(text), entry);
  const auto at = GetParam().find == "END" ? text.size() : text.find(GetParam().find);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, GetParam().find == "END" ? 0 : GetParam().find.size(), GetParam().replace);
  try {
    (void)parse_disclosed(text);
    ADD_FAILURE() << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
  }
}
INSTANTIATE_TEST_SUITE_P(DisclosedEntry, MalformedDisclosure, testing::ValuesIn(kBadDisclosures),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace casevault
