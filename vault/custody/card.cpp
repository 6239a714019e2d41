#include "vault/custody/card.h"

#include <algorithm>

#include "crypto/disclose.h"
#include "crypto/encoding.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kTitle = "casevault-card:";
constexpr std::string_view kPrefix = "casevault-card:1/";
constexpr const char* kWhat = "card";
constexpr std::size_t kSeedSize = 2 * SigningSeed::kSize;  // hexadecimal digits
// What stands behind the seed: keys are sorted, so always the vault and nothing else.
constexpr std::size_t kBehindSeed = std::string_view(R"(","vault":""})").size() + 2 * sizeof(VaultId);

constexpr std::size_t kMaxName = 64;  // bytes, as in an invitation; the place too

bool is_label(std::string_view text, std::size_t max_bytes) {
  return text.size() <= max_bytes && is_utf8(text) && escape_for_display(text) == text;
}

bool is_valid(const CustodianAddress& custodian) {
  return !custodian.name.empty() && is_label(custodian.name, kMaxName) && is_label(custodian.place, kMaxName) &&
         is_custodian_address(custodian.address);
}

bool is_valid(const OrderCard& card) {
  return card.number >= 1 && card.number <= kMaxCardNumber && is_label(card.organisation, kMaxCardLabel) &&
         card.expires_ms >= 0 && !card.custodians.empty() && card.custodians.size() <= kMaxCustodians &&
         std::ranges::all_of(card.custodians, [](const CustodianAddress& one) { return is_valid(one); });
}

Json to_json(const CustodianAddress& custodian) {
  return {{"address", custodian.address},
          {"key", to_hex(custodian.key.bytes)},
          {"name", custodian.name},
          {"pin", to_hex(custodian.pin)},
          {"place", custodian.place}};
}

CustodianAddress custodian_from_json(const Json& object) {
  Fields fields(object, kWhat);
  if (!object.is_object()) fields.fail();
  CustodianAddress out{.name = fields.text("name"),
                       .place = fields.text("place"),
                       .address = fields.text("address"),
                       .pin = fields.hex<32>("pin"),
                       .key = {fields.hex<32>("key")},
                       .box = {}};
  fields.end();
  return out;
}

/// The JSON of a card with an empty seed: what may be parsed by a library that copies.
std::string public_part(const OrderCard& card) {
  Json custodians = Json::array();
  for (const auto& custodian : card.custodians) custodians.push_back(to_json(custodian));
  return Json{{"card", card.number},        {"custodians", custodians},
              {"expires", card.expires_ms}, {"organisation", card.organisation},
              {"salt", to_hex(card.salt)},  {"seed", ""},
              {"vault", to_hex(card.vault)}}
      .dump();
}

OrderCard from_public_part(std::string_view text, SigningSeed seed) {
  const Json json = parse_canonical(text, kWhat);
  Fields fields(json, kWhat);
  const std::uint64_t number = fields.count("card");
  std::vector<CustodianAddress> custodians;
  for (const Json& custodian : fields.list("custodians", kMaxCustodians))
    custodians.push_back(custodian_from_json(custodian));
  OrderCard card{.number = static_cast<std::uint32_t>(std::min<std::uint64_t>(number, kMaxCardNumber + 1)),
                 .organisation = fields.text("organisation"),
                 .vault = fields.hex<16>("vault"),
                 .salt = fields.hex<16>("salt"),
                 .seed = std::move(seed),
                 .custodians = std::move(custodians),
                 .expires_ms = fields.time("expires")};
  if (!fields.text("seed").empty() || !is_valid(card)) fields.fail();
  fields.end();
  return card;
}

/// Takes the seed out of the decoded line, which is wiped.
std::optional<SigningSeed> take_seed(Bytes& json, std::string& rest) {
  const std::string_view text = as_text(json);
  if (text.size() < kSeedSize + kBehindSeed) return std::nullopt;
  const std::size_t at = text.size() - kBehindSeed - kSeedSize;
  auto seed = array_from_hex<SigningSeed::kSize>(text.substr(at, kSeedSize));
  rest = std::string(text.substr(0, at)).append(text.substr(at + kSeedSize));
  wipe(json);
  if (!seed) return std::nullopt;
  auto key = SigningSeed::from_bytes(*seed);
  wipe(*seed);
  return key;
}

OrderCard from_line(std::string_view line) {
  auto json = from_base64url(line.substr(kPrefix.size()));
  std::string rest;
  auto seed = json ? take_seed(*json, rest) : std::nullopt;
  if (!seed) throw Error(Errc::kDamaged, "the line of the card is not all there, or something in it was changed");
  return from_public_part(rest, std::move(*seed));
}

/// The one line that is not for people; empty without one, or with more than one.
std::string_view line_of(std::string_view text) {
  std::string_view found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);  // it was kept on somebody's Windows stick
    if (line.empty() || line.starts_with('#')) continue;
    if (!found.empty()) return {};
    found = line;
  }
  return found;
}

constexpr std::string_view kEnglish = R"(# Whoever holds this card can lock the office's vault from anywhere in the
# world. The card opens nothing: no case can be read with it. Keep it where a
# raid on the office does not find it.
#
# LOCK      One card is enough. From then on nobody can open the vault with
#           what is in the office, and its machine forgets its keys. Nothing is
#           lost: an unlock order undoes it. In doubt: lock.
# UNLOCK    Several cards together. Undoes a lock.
# DESTROY   Several cards together. The custodians delete their shares of the
#           keys, for ever. Lock first; destroy only when it is agreed.
# BURN      Several cards together. One machine is shut out for ever: one that
#           was in other people's hands.
#
# How: open one of the addresses below in the browser of any phone or computer,
# and paste the long line at the end there. Or, where casevault is installed:
#   casevault order issue lock --card FILE
# The browser warns that it does not know the certificate. Its public key must
# have the SHA-256 that stands below the address; if it is another, stop. Where
# you cannot look it up: lock all the same, and have this card replaced after.
)";

constexpr std::string_view kRussian = R"(# По этой карте можно заблокировать хранилище офиса из любой точки мира. Карта
# ничего не открывает: прочесть по ней дела нельзя. Храните её там, где её не
# найдут при обыске в офисе.
#
# БЛОКИРОВКА      Достаточно одной карты. После неё никто не откроет хранилище
#                 тем, что есть в офисе, а компьютер офиса забудет ключи. Ничего
#                 не теряется: блокировку можно снять. Сомневаетесь – блокируйте.
# РАЗБЛОКИРОВКА   Нужно несколько карт. Снимает блокировку.
# УНИЧТОЖЕНИЕ     Нужно несколько карт. Хранители навсегда удаляют свои части
#                 ключей. Сначала заблокируйте; уничтожайте только по уговору.
# ОТКЛЮЧЕНИЕ      Нужно несколько карт. Один компьютер отключается навсегда:
#                 тот, что побывал в чужих руках.
#
# Как: откройте один из адресов ниже в браузере любого телефона или компьютера
# и вставьте там длинную строку, которой кончается карта. Или, где есть casevault:
#   casevault order issue lock --card FILE
# Браузер предупредит, что не знает сертификата. У его открытого ключа должен
# быть тот SHA-256, который стоит ниже под адресом; если другой, прекратите. Где
# посмотреть нельзя: всё равно блокируйте, а карту потом попросите заменить.
)";

}  // namespace

std::string card_line(const OrderCard& card) {
  if (!is_valid(card)) {
    throw Error(Errc::kUsage,
                "this cannot stand on a card: a name is too long or has control characters, or an address is not "
                "host:port");
  }
  std::string json = public_part(card);
  std::string seed = disclose_card(card.seed);
  json.insert(json.size() - kBehindSeed, seed);
  std::string line = std::string(kPrefix) + to_base64url(as_bytes(json));
  wipe(std::as_writable_bytes(std::span(seed)));
  wipe(std::as_writable_bytes(std::span(json)));
  return line;
}

std::string card_text(const OrderCard& card) {
  const std::string line = card_line(card);
  std::string text = "# casevault: card " + std::to_string(card.number) + ", " + card.organisation + "\n#\n";
  text.append(kEnglish).append("#\n").append(kRussian).append("#\n");
  for (const auto& custodian : card.custodians) {
    text += "# " + custodian.name + ", " + custodian.place + "\n#   https://" + custodian.address + "/order\n";
    text += "#   SHA-256 " + to_hex(custodian.pin) + "\n";
  }
  return text + "#\n# Call before you act / Сначала позвоните: ______________________________\n#\n" + line + "\n";
}

OrderCard parse_card(std::string_view text) {
  const std::string_view line = line_of(text);
  if (line.starts_with(kPrefix)) {
    try {
      return from_line(line);
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      throw Error(Errc::kUsage, error.what(), "copy the whole line that begins with casevault-card:1/");
    }
  }
  if (line.starts_with(kTitle)) throw Error(Errc::kUsage, "this card is of a newer kind than this program knows");
  throw Error(Errc::kUsage, "this is not a card", "a card is a line that begins with casevault-card:1/");
}

void write_card(const Path& folder, const OrderCard& card) {
  const std::string name = "card-" + std::to_string(card.number);
  write_new_file(folder / (name + ".txt"), as_bytes(card_text(card)));
  write_new_file(folder / (name + ".html"), as_bytes(card_html(card)));
}

}  // namespace casevault
