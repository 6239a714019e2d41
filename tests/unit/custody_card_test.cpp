#include "vault/custody/card.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>

#include "crypto/encoding.h"
#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kPrefix = "casevault-card:1/";

CustodianAddress custodian_of(std::string name, std::string place, std::string address) {
  CustodianAddress out{.name = std::move(name), .place = std::move(place), .address = std::move(address)};
  out.pin.fill(std::byte{0xab});
  out.key = SigningKey::random().verify_key();
  return out;
}

OrderCard card_of() {
  OrderCard card{.number = 2, .organisation = "Бюро «Помощь» & <Co>", .seed = SigningSeed::random()};
  card.vault.fill(std::byte{1});
  card.salt.fill(std::byte{2});
  card.custodians = {custodian_of("Asker", "Oslo", "asker.example:4433"),
                     custodian_of("Брно", "", "[2001:db8::1]:443")};
  return card;
}

std::string line_of(const Json& json) { return std::string(kPrefix) + to_base64url(as_bytes(json.dump())); }
Json json_of(const OrderCard& card) {
  return Json::parse(as_text(from_base64url(card_line(card).substr(kPrefix.size())).value()));
}

TEST(OrderCard, IsTheJsonOfTheProtocol) {
  const auto card = card_of();
  const Json json = json_of(card);
  EXPECT_EQ(json.size(), 7u);
  EXPECT_EQ(json.at("card"), 2);
  EXPECT_EQ(json.at("expires"), 0);
  EXPECT_EQ(json.at("organisation"), card.organisation);
  EXPECT_EQ(json.at("salt"), std::string(32, '0').replace(0, 32, "02020202020202020202020202020202"));
  EXPECT_EQ(json.at("seed"), to_hex(card.seed.expose_secret()));
  EXPECT_EQ(json.at("vault"), "01010101010101010101010101010101");
  EXPECT_EQ(json.at("custodians").at(1),
            (Json{{"address", "[2001:db8::1]:443"},
                  {"key", to_hex(card.custodians[1].key.bytes)},
                  {"name", "Брно"},
                  {"pin", std::string(64, 'a').replace(0, 64, to_hex(card.custodians[1].pin))},
                  {"place", ""}}));
}

TEST(OrderCard, WhatParsesEncodesBackToTheSameLine) {
  const auto card = card_of();
  const std::string line = card_line(card);
  for (const std::string& text : {line, line + "\n", card_text(card), "# x\n\n" + line + "\r\n# y\n"}) {
    const auto parsed = parse_card(text);
    EXPECT_EQ(card_line(parsed), line);
    EXPECT_EQ(parsed.custodians, card.custodians);
    EXPECT_TRUE(equal_constant_time(parsed.seed.expose_secret(), card.seed.expose_secret()));
  }
}

TEST(OrderCard, TextTellsPeopleWhatItIsInBothLanguages) {
  const std::string text = card_text(card_of());
  EXPECT_THAT(text, HasSubstr("opens nothing"));
  EXPECT_THAT(text, HasSubstr("ничего не открывает"));
  EXPECT_THAT(text, HasSubstr("https://asker.example:4433/order"));
  EXPECT_THAT(text, Not(HasSubstr(to_hex(card_of().seed.expose_secret()))));
}

// ---- What is refused.

struct Refusal {
  const char* name;
  std::function<void(Json&)> change;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusedCard : public testing::TestWithParam<Refusal> {};
TEST_P(RefusedCard, IsRefusedAsWronglyPasted) {
  Json json = json_of(card_of());
  const std::string seed = json.at("seed");
  GetParam().change(json);
  try {
    parse_card(line_of(json));
    FAIL() << "parsed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kUsage);
    EXPECT_THAT(error.what(), Not(HasSubstr(seed)));
  }
}
INSTANTIATE_TEST_SUITE_P(
    OneFieldEach, RefusedCard,
    testing::Values(Refusal{"number_0", [](Json& j) { j["card"] = 0; }},
                    Refusal{"number_10000", [](Json& j) { j["card"] = 10'000; }},
                    Refusal{"number_2_to_the_32_and_1", [](Json& j) { j["card"] = 4'294'967'297; }},
                    Refusal{"number_as_text", [](Json& j) { j["card"] = "1"; }},
                    Refusal{"no_custodians", [](Json& j) { j["custodians"] = Json::array(); }},
                    Refusal{"custodian_is_text", [](Json& j) { j["custodians"][0] = "x"; }},
                    Refusal{"address_without_port", [](Json& j) { j["custodians"][0]["address"] = "a.example"; }},
                    Refusal{"address_with_a_path", [](Json& j) { j["custodians"][0]["address"] = "a.example:1/x"; }},
                    Refusal{"address_with_a_user", [](Json& j) { j["custodians"][0]["address"] = "a@b.example:1"; }},
                    Refusal{"name_empty", [](Json& j) { j["custodians"][0]["name"] = ""; }},
                    Refusal{"name_with_a_newline", [](Json& j) { j["custodians"][0]["name"] = "a\n# b"; }},
                    Refusal{"name_turned_round", [](Json& j) { j["custodians"][0]["name"] = "a\u202eb"; }},
                    Refusal{"place_too_long", [](Json& j) { j["custodians"][0]["place"] = std::string(65, 'x'); }},
                    Refusal{"custodian_with_more", [](Json& j) { j["custodians"][0]["box"] = ""; }},
                    Refusal{"key_short", [](Json& j) { j["custodians"][0]["key"] = "ab"; }},
                    Refusal{"expires_negative", [](Json& j) { j["expires"] = -1; }},
                    Refusal{"organisation_too_long", [](Json& j) { j["organisation"] = std::string(201, 'x'); }},
                    Refusal{"salt_upper_case", [](Json& j) { j["salt"] = std::string(32, 'A'); }},
                    Refusal{"seed_missing", [](Json& j) { j.erase("seed"); }},
                    Refusal{"seed_empty", [](Json& j) { j["seed"] = ""; }},
                    Refusal{"seed_upper_case", [](Json& j) { j["seed"] = std::string(64, 'A'); }},
                    Refusal{"seed_long", [](Json& j) { j["seed"] = std::string(66, 'a'); }},
                    Refusal{"one_field_more", [](Json& j) { j["aaa"] = 1; }},
                    Refusal{"one_field_behind", [](Json& j) { j["zzz"] = 1; }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(OrderCard, TextsThatAreNoCardAreRefused) {
  const std::string line = card_line(card_of());
  std::string twice = line;
  twice.append("\n").append(line);
  std::string newer(line);
  newer.replace(newer.find(":1/"), 3, ":2/");
  for (const std::string& text :
       {std::string(), std::string("# only\n"), "x" + line, twice, line + "=", line.substr(0, line.size() - 1),
        line.substr(0, 40), std::string(kPrefix), newer, line + " x", " " + line}) {
    EXPECT_THROW(parse_card(text), Error) << text.substr(0, 60);
  }
}

TEST(OrderCard, EveryChangedCharacterIsRefusedOrAnotherCard) {
  const std::string line = card_line(card_of());
  for (std::size_t i = 0; i < line.size(); i += 7) {
    std::string changed = line;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    try {
      EXPECT_EQ(card_line(parse_card(changed)), changed) << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::kUsage) << i;
    }
  }
}

TEST(OrderCard, WhatCannotStandOnOneIsNotWritten) {
  auto card = card_of();
  card.organisation = "a\nb";
  EXPECT_THROW(card_line(card), Error);
}

// ---- The page to print.

TEST(CardPage, HasNoScriptAndNothingRemote) {
  const std::string page = card_html(card_of());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("Бюро «Помощь» &amp; &lt;Co&gt;"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("In doubt: lock."));
  EXPECT_THAT(page, HasSubstr("Сомневаетесь"));
}

TEST(CardPage, WithoutRoomForAQrCodeHasTheLineAlone) {
  auto card = card_of();
  while (card.custodians.size() < kMaxCustodians)
    card.custodians.push_back(custodian_of("Somebody", "Somewhere", "somebody.example:443"));
  const std::string page = card_html(card);
  EXPECT_THAT(page, Not(HasSubstr("<svg")));
  EXPECT_THAT(page, HasSubstr(card_line(card)));
  EXPECT_EQ(card_line(parse_card(card_text(card))), card_line(card));
}

TEST(CardFiles, AreForTheirOwnerAloneAndOverwriteNothing) {
  const test::TempFolder folder;
  write_card(folder.path(), card_of());
  for (const char* name : {"card-2.txt", "card-2.html"}) {
    EXPECT_EQ(std::filesystem::status(folder.path() / name).permissions(), std::filesystem::perms{0600}) << name;
  }
  EXPECT_THROW(write_card(folder.path(), card_of()), Error);
}

}  // namespace
}  // namespace casevault
