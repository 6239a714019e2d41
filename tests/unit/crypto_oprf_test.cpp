#include "crypto/oprf.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

bool is_ours(const nlohmann::json& suite) { return suite["identifier"] == "ristretto255-SHA512" && suite["mode"] == 0; }

void check(const Scalar& key, const nlohmann::json& vector) {
  const auto input = hex(vector["Input"].get<std::string>());
  auto blind = parse_scalar(hex(vector["Blind"].get<std::string>()));
  ASSERT_TRUE(blind);
  const auto blinded = oprf_blind(input, std::move(*blind));
  EXPECT_EQ(to_hex(blinded.element.bytes), vector["BlindedElement"]);
  const Element evaluated = oprf_evaluate(key, parse_element(blinded.element.bytes).value());
  EXPECT_EQ(to_hex(evaluated.bytes), vector["EvaluationElement"]);
  EXPECT_EQ(to_hex(oprf_finalize(input, blinded.blind, evaluated).expose_secret()), vector["Output"]);
}

// RFC 9497 appendix A.1.1.
TEST(OprfVectors, All) {
  const auto path = test::vector_path("oprf/allVectors.json");
  CASEVAULT_NEEDS_VECTORS(path);
  std::size_t checked = 0;
  for (const auto& suite : test::read_json(path)) {
    if (!is_ours(suite)) continue;
    const auto text = [&](const char* field) { return hex(suite[field].get<std::string>()); };
    const Scalar key = oprf_derive_key(text("seed"), text("keyInfo"));
    EXPECT_EQ(to_hex(key.expose_secret()), suite["skSm"]);
    for (const auto& vector : suite["vectors"]) {
      SCOPED_TRACE(vector["Input"].get<std::string>());
      check(key, vector);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 2u);
}

std::string ask(const Scalar& key, std::string_view input) {
  const auto blinded = oprf_blind(as_bytes(input));
  const auto output = oprf_finalize(as_bytes(input), blinded.blind, oprf_evaluate(key, blinded.element));
  return to_hex(output.expose_secret());
}

TEST(Oprf, TheOutputDependsOnKeyAndInputOnly) {
  const auto key = random_scalar();
  for (const std::string& input : {std::string(), std::string("a"), std::string(0xFFFF, 'x')}) {
    EXPECT_EQ(ask(key, input), ask(key, input)) << "whatever the blind";
    EXPECT_NE(ask(key, input), ask(random_scalar(), input));
    EXPECT_NE(ask(key, input), ask(key, "b"));
  }
}

TEST(Oprf, BlindingHidesTheInput) {
  const auto first = oprf_blind(as_bytes("a")), second = oprf_blind(as_bytes("a"));
  EXPECT_NE(first.element, second.element);
  EXPECT_TRUE(parse_element(first.element.bytes) && parse_scalar(first.blind));
}

TEST(Oprf, SecretInputsAreTheSame) {
  const auto key = random_scalar();
  const auto secret = Key<struct TestPurpose>::random();
  const auto expected = ask(key, as_text(secret.expose_secret()));
  const auto blinded = oprf_blind(secret);
  const auto evaluated = oprf_evaluate(key, blinded.element);
  EXPECT_EQ(to_hex(oprf_finalize(secret, blinded.blind, evaluated).expose_secret()), expected);
  const auto copy = SecretBytes::copy_of(secret.expose_secret());
  EXPECT_EQ(to_hex(oprf_finalize(copy, blinded.blind, evaluated).expose_secret()), expected);
  const auto again = oprf_blind(copy);
  EXPECT_EQ(to_hex(oprf_finalize(copy, again.blind, oprf_evaluate(key, again.element)).expose_secret()), expected);
}

TEST(Oprf, WrongQuestionsAndAnswersAreRefused) {
  const auto refusal = [](const auto& action) {
    try {
      action();
      return Errc::kUsage;
    } catch (const Error& error) {
      return error.code();
    }
  };
  const auto key = random_scalar();
  const auto blinded = oprf_blind(as_bytes("a"));
  EXPECT_EQ(refusal([&] { (void)oprf_evaluate(key, Element{}); }), Errc::kDamaged);
  EXPECT_EQ(refusal([&] { (void)oprf_evaluate(Scalar::zero(), blinded.element); }), Errc::kDamaged);
  EXPECT_EQ(refusal([&] { (void)oprf_finalize(as_bytes("a"), blinded.blind, Element{}); }), Errc::kDamaged);
  const Bytes long_input(0x10000);
  EXPECT_EQ(refusal([&] { (void)oprf_blind(long_input); }), Errc::kInternal);
}

}  // namespace
}  // namespace casevault
