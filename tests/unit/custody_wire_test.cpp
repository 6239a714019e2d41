#include "vault/custody/wire.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "tests/support/vectors.h"
#include "vault/custody/http_signature.h"

namespace casevault {
namespace {

using test::hex_array;

template <typename Run>
Errc code_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::kInternal;
}

// The secret of RFC 8032, test 1.
SigningKey known_key() {
  return SigningKey::from_seed(
      SigningSeed::from_bytes(hex_array<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")));
}

// ---- Names
TEST(CustodyId, IsWrittenSoForEver) {
  const auto salt = hex_array<16>("000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(to_hex(custody_id(salt, ScopeKind::kUser, "anna")), "f85645c49b5f044b6ce9f67504c3dfe4");
  EXPECT_EQ(to_hex(custody_id(salt, ScopeKind::kCase, "C-3")), "c8b8e0c980bee49eb0c1d85dc89ed3dd");
  EXPECT_EQ(to_hex(custody_id(salt, ScopeKind::kDevice, "anna")), "ea9c8577edbf0bf727989d52e20b43e2");
  EXPECT_NE(custody_id({}, ScopeKind::kUser, "anna"), custody_id(salt, ScopeKind::kUser, "anna"));
}

TEST(CustodianAddress, HostsAndPorts) {
  for (const auto* good : {"a:1", "custodian.example.org:8443", "192.0.2.7:443", "[2001:db8::1]:65535", "[::1]:443",
                           "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:443"}) {
    EXPECT_TRUE(is_custodian_address(good)) << good;
  }
  for (const auto* bad : {"",          ":",      "a",      "a:",           ":443",     "a:0",
                          "a:65536",   "a:0443", "a:+443", "a:443 ",       "a b:443",  "user@a:443",
                          "a/b:443",   "a?:443", "a#:443", "[::1]",        "::1:443",  "[::1%25eth0]:443",
                          "[]:443",    "[a:443", "-a:443", "\xd0\xb0:443", "a%41:443", "a\n:443",
                          "[::1]x:443"}) {
    EXPECT_FALSE(is_custodian_address(bad)) << bad;
  }
}

// ---- Invitations
Invitation invitation() {
  Invitation made{{"Rights Desk", "Tallinn, Eesti \u2116 1", "custodian.example.org:8443", {}, {}, {}}, {}};
  made.custodian.pin.fill(std::byte{0xfb});
  made.custodian.key = known_key().verify_key();
  made.custodian.box.bytes.fill(std::byte{3});
  made.token.fill(std::byte{0xff});
  return made;
}

TEST(Invitation, IsWrittenSoForEver) {
  const std::string line =
      "casevault-custodian:1/Rights%20Desk/Tallinn%2C%20Eesti%20%E2%84%96%201/custodian.example.org:8443/"
      "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s/11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo/"
      "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM/__________________________________________8";
  EXPECT_EQ(invitation().encode(), line);
  const auto parsed = Invitation::parse(line);
  EXPECT_EQ(parsed.custodian, invitation().custodian);
  EXPECT_EQ(parsed.token, invitation().token);
}

TEST(Invitation, PlaceMayBeEmptyAndNothingElse) {
  auto made = invitation();
  made.custodian.place.clear();
  EXPECT_EQ(Invitation::parse(made.encode()).custodian, made.custodian);
  made.custodian.name.clear();
  EXPECT_EQ(code_of([&] { Invitation::parse(made.encode()); }), Errc::kUsage);
}

TEST(Invitation, NamesThatWouldDeceiveAreRefused) {
  for (const auto* name : {"a\nb", "a\x1b[2J", "\u202e", "\xff", "\xc3",
                           "a name that is longer than anybody needs for telling two custodians apart"}) {
    auto made = invitation();
    made.custodian.name = name;
    EXPECT_EQ(code_of([&] { Invitation::parse(made.encode()); }), Errc::kUsage) << name;
  }
}

// Whatever is changed, it is refused or it is another invitation that is written exactly so.
TEST(Invitation, HasOneSpellingOnly) {
  const auto line = invitation().encode();
  for (std::size_t i = 0; i < line.size(); ++i) {
    for (unsigned mask = 1; mask < 256; mask <<= 1) {
      auto changed = line;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ mask);
      try {
        EXPECT_EQ(Invitation::parse(changed).encode(), changed);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::kUsage);
      }
    }
    EXPECT_EQ(code_of([&] { Invitation::parse(line.substr(0, i)); }), Errc::kUsage) << i;
  }
  for (const auto& wrong : {line + "/", line + "\n", " " + line, line + "A", line + std::string(4096, 'A')}) {
    EXPECT_EQ(code_of([&] { Invitation::parse(wrong); }), Errc::kUsage);
  }
}

TEST(Invitation, PercentEncodingHasOneSpelling) {
  const auto with_name = [](const std::string& name) {
    auto line = invitation().encode();
    return line.replace(line.find("Rights%20Desk"), 13, name);
  };
  EXPECT_EQ(Invitation::parse(with_name("%D0%B6~a")).custodian.name, "\u0436~a");
  for (const auto* wrong : {"%d0%b6", "%41", "a%", "a%2", "%2G", "a b", "a+b%", "%00", "%2F%", "\u0436"}) {
    EXPECT_EQ(code_of([&] { Invitation::parse(with_name(wrong)); }), Errc::kUsage) << wrong;
  }
}

// ---- Signed statements
TEST(WireStatement, GoesThroughJson) {
  const auto key = SigningKey::random();
  const auto made = sign_statement(kOrderDomain, {{"b", 1}, {"a", "\u0436"}}, key);
  EXPECT_EQ(made.statement, "{\"a\":\"\u0436\",\"b\":1}");
  const auto read = wire_statement_from_json(to_json(made), kOrderDomain, "the order");
  EXPECT_EQ(read.by, key.verify_key());
  EXPECT_EQ(read.statement, made.statement);
  EXPECT_EQ(read.signature, made.signature);
}

TEST(WireStatement, WhatIsNotItIsRefused) {
  const auto made = sign_statement(kOrderDomain, {{"a", 1}}, SigningKey::random());
  const auto good = to_json(made);
  const auto refused = [](const nlohmann::json& object, std::string_view domain = kOrderDomain) {
    return code_of([&] { wire_statement_from_json(object, domain, "the order"); }) == Errc::kDamaged;
  };
  EXPECT_FALSE(refused(good));
  EXPECT_TRUE(refused(good, kReceiptDomain)) << "another domain";
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, nlohmann::json>>{{"by", to_hex(SigningKey::random().verify_key().bytes)},
                                                           {"by", "00"},
                                                           {"by", 7},
                                                           {"signature", to_base64(Signature{})},
                                                           {"signature", to_base64(made.signature) + "\n"},
                                                           {"signature", nullptr},
                                                           {"statement", "{\"a\":2}"},
                                                           {"statement", "{\"a\": 1}"},
                                                           {"statement", "[1]"},
                                                           {"statement", made.statement + " "},
                                                           {"statement", nlohmann::json::object()},
                                                           {"more", 1}}) {
    auto changed = good;
    changed[field] = value;
    EXPECT_TRUE(refused(changed)) << field << " " << value;
  }
  for (const auto* field : {"by", "signature", "statement"}) {
    auto less = good;
    less.erase(field);
    EXPECT_TRUE(refused(less)) << field;
  }
  EXPECT_TRUE(refused(nlohmann::json::array()) && refused(nullptr) && refused("text"));
}

TEST(WireStatement, SignedButNotCanonicalIsRefused) {
  const auto key = SigningKey::random();
  WireStatement made{key.verify_key(), "{\"b\":1,\"a\":1}", {}};
  made.signature = key.sign(kOrderDomain, as_bytes(made.statement));
  EXPECT_EQ(code_of([&] { wire_statement_from_json(to_json(made), kOrderDomain, "the order"); }), Errc::kDamaged);
}

// ---- RFC 9421
// Appendix B.2.6: the base, and Ed25519's signature of it (which is the same every time) with the key of B.1.4.
TEST(HttpSignature, BaseAndSignatureOfRfc9421AppendixB26) {
  const std::array<SignedComponent, 6> components{{{"date", "Tue, 20 Apr 2021 02:07:55 GMT"},
                                                   {"@method", "POST"},
                                                   {"@path", "/foo"},
                                                   {"@authority", "example.com"},
                                                   {"content-type", "application/json"},
                                                   {"content-length", "18"}}};
  const auto parameters = component_list(components) + ";created=1618884473;keyid=\"test-key-ed25519\"";
  const auto base = signature_base(components, parameters);
  EXPECT_EQ(base,
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
            "\"@method\": POST\n"
            "\"@path\": /foo\n"
            "\"@authority\": example.com\n"
            "\"content-type\": application/json\n"
            "\"content-length\": 18\n"
            "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")"
            ";created=1618884473;keyid=\"test-key-ed25519\"");
  const auto seed = from_base64url("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU").value();
  const auto key = SigningKey::from_seed(SigningSeed::from_bytes(to_array<32>(seed)));
  EXPECT_EQ(to_base64url(key.verify_key().bytes), "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs");
  EXPECT_EQ(to_base64(key.sign_raw(as_bytes(base))),
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==");
}

const WireRequest kPost{"POST", "/v1/evaluate", "", "{\"to\":\"x\"}"};
const WireRequest kGet{"GET", "/v1/statement", "?from=1&to=ab", ""};

TEST(HttpSignature, FormOfTheHeaders) {
  const auto key = known_key();
  const auto post = sign_request(kPost, key, 1'700'000'000);
  EXPECT_EQ(post.content_digest, "sha-256=:" + to_base64(sha256(as_bytes(kPost.body))) + ":");
  const std::string keyid = "\";keyid=\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"";
  EXPECT_TRUE(
      post.signature_input.starts_with("sig=(\"@method\" \"@path\" \"content-digest\");created=1700000000;nonce=\""));
  EXPECT_TRUE(post.signature_input.ends_with(keyid + ";alg=\"ed25519\""));
  const auto get = sign_request(kGet, key, 1'700'000'000);
  EXPECT_EQ(get.content_digest, "");
  EXPECT_TRUE(get.signature_input.starts_with("sig=(\"@method\" \"@path\" \"@query\");created=1700000000;nonce=\""));
  const auto bare = sign_request({"GET", "/healthz", "", ""}, key, 0);
  EXPECT_TRUE(bare.signature_input.starts_with("sig=(\"@method\" \"@path\");created=0;nonce=\""));
  EXPECT_NE(sign_request(kGet, key, 0).signature_input, sign_request(kGet, key, 0).signature_input) << "nonce";
}

TEST(HttpSignature, WhatWasSignedChecks) {
  const auto key = SigningKey::random();
  for (const auto& request :
       {kPost, kGet, WireRequest{"GET", "/healthz", "", ""}, WireRequest{"POST", "/a", "?b", "c"}}) {
    const auto headers = sign_request(request, key, 1'700'000'000);
    const auto checked = check_request(request, headers);
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->key, key.verify_key());
    EXPECT_EQ(checked->created, 1'700'000'000);
    EXPECT_NE(headers.signature_input.find(to_hex(checked->nonce)), std::string::npos);
  }
}

// Every bit of everything that is sent counts.
TEST(HttpSignature, EveryChangedBitIsRefused) {
  const auto key = SigningKey::random();
  for (const auto& request : {kPost, kGet, WireRequest{"POST", "/v1/a", "?b=1", "{}"}}) {
    const auto headers = sign_request(request, key, 1'700'000'000);
    auto changed = request;
    auto changed_headers = headers;
    const std::array<std::string*, 7> texts{&changed.method,
                                            &changed.path,
                                            &changed.query,
                                            &changed.body,
                                            &changed_headers.content_digest,
                                            &changed_headers.signature_input,
                                            &changed_headers.signature};
    for (auto* text : texts) {
      const auto before = *text;
      for (std::size_t i = 0; i < before.size(); ++i) {
        for (unsigned mask = 1; mask < 256; mask <<= 1) {
          (*text)[i] = static_cast<char>(static_cast<unsigned char>(before[i]) ^ mask);
          EXPECT_FALSE(check_request(changed, changed_headers)) << *text;
          *text = before;
        }
        *text = before.substr(0, i);
        EXPECT_FALSE(check_request(changed, changed_headers)) << *text;
        *text = before.substr(0, i) + "0" + before.substr(i);
        EXPECT_FALSE(check_request(changed, changed_headers)) << *text;
        *text = before;
      }
      for (const auto* more : {" ", "\n", "a", ",sig=:AA==:", ";x"}) {
        *text = before + more;
        EXPECT_FALSE(check_request(changed, changed_headers)) << *text;
        *text = before;
      }
    }
    EXPECT_TRUE(check_request(changed, changed_headers));
  }
}

// A signature is of one request and one key.
TEST(HttpSignature, PartsOfTwoRequestsDoNotMix) {
  const auto key = SigningKey::random();
  const auto one = sign_request(kPost, key, 1'700'000'000);
  auto mixed = one;
  mixed.signature = sign_request(kPost, key, 1'700'000'000).signature;
  EXPECT_FALSE(check_request(kPost, mixed)) << "another nonce";
  mixed.signature = sign_request(kPost, SigningKey::random(), 1'700'000'000).signature;
  EXPECT_FALSE(check_request(kPost, mixed)) << "another key";
  EXPECT_FALSE(check_request(kGet, one));
}

// Correctly signed, but not the one form.
TEST(HttpSignature, OtherFormsAreRefused) {
  const auto key = SigningKey::random();
  const auto digest = "sha-256=:" + to_base64(sha256(as_bytes(kPost.body))) + ":";
  const std::vector<SignedComponent> all{{"@method", "POST"}, {"@path", kPost.path}, {"content-digest", digest}};
  const std::string keyid = ";keyid=\"" + to_hex(key.verify_key().bytes) + "\"";
  const std::string nonce = ";nonce=\"" + std::string(32, '0') + "\"";
  const std::string alg = ";alg=\"ed25519\"";
  const auto accepted = [&](const std::vector<SignedComponent>& components, const std::vector<std::string>& rest,
                            const std::string& label = "sig") {
    auto parameters = component_list(components);
    for (const auto& one : rest) parameters += one;
    const auto signature = to_base64(key.sign_raw(as_bytes(signature_base(components, parameters))));
    return check_request(kPost, {digest, label + "=" + parameters, label + "=:" + signature + ":"}).has_value();
  };
  EXPECT_TRUE(accepted(all, {";created=1", nonce, keyid, alg}));
  EXPECT_FALSE(accepted(all, {";created=1", nonce, keyid, alg}, "sig1"));
  EXPECT_FALSE(accepted({all[0], all[1]}, {";created=1", nonce, keyid, alg})) << "body not covered";
  EXPECT_FALSE(accepted({all[1], all[0], all[2]}, {";created=1", nonce, keyid, alg})) << "other order";
  for (const auto& rest : std::vector<std::vector<std::string>>{{";created=1", nonce, keyid},
                                                                {nonce, ";created=1", keyid, alg},
                                                                {";created=01", nonce, keyid, alg},
                                                                {";created=-1", nonce, keyid, alg},
                                                                {";created=1000000000000000", nonce, keyid, alg},
                                                                {";created=1", nonce, keyid, alg, ";expires=2"},
                                                                {";created=1", ";nonce=\"00\"", keyid, alg},
                                                                {";created=1", nonce, keyid, ";alg=\"hmac-sha256\""}}) {
    EXPECT_FALSE(accepted(all, rest)) << testing::PrintToString(rest);
  }
}

// A newline in a path would write a line into what is signed.
TEST(HttpSignature, RequestsThatCouldMeanTwoThingsAreRefused) {
  const auto key = SigningKey::random();
  for (const auto& request :
       {WireRequest{"GET", "/a\n\"@query\": ?b", "", ""}, WireRequest{"GET", "a", "", ""},
        WireRequest{"GET", "", "", ""}, WireRequest{"", "/a", "", ""}, WireRequest{"G T", "/a", "", ""},
        WireRequest{"GET", "/a?b", "", ""}, WireRequest{"GET", "/a", "b", ""}, WireRequest{"GET", "/a", "?\n", ""},
        WireRequest{"GET", "/\u0436", "", ""}}) {
    EXPECT_EQ(code_of([&] { sign_request(request, key, 1); }), Errc::kInternal);
    EXPECT_FALSE(check_request(request, sign_request(kGet, key, 1)));
  }
}

}  // namespace
}  // namespace casevault
