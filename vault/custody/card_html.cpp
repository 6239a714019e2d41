#include <array>
#include <initializer_list>

#include "vault/custody/card.h"
#include "vault/html.h"

// The page is for people with nothing but a printer: no script, nothing remote. It is XML, too, so that tests can tell
// whether it is well-formed.

namespace casevault {
namespace {

struct Language {
  Markup code;
  Markup title;         // number
  Markup introduction;  // organisation
  std::array<std::array<Markup, 2>, 4> orders;
  Markup how;
  Markup call;
};

constexpr Language kEnglish{
    .code = "en",
    .title = "Card {}",
    .introduction =
        "Orders for the vault of <strong>{}</strong>. The card opens nothing: no case can be read with it. Keep it "
        "where a raid on the office does not find it, and let nobody photograph it.",
    .orders = {{{"Lock",
                 "One card is enough. Nobody can open the vault any more with what is in the office, and its "
                 "machine forgets its keys. Nothing is lost: an unlock order undoes it. <strong>In doubt: "
                 "lock.</strong>"},
                {"Unlock", "Several cards together. Undoes a lock."},
                {"Destroy",
                 "Several cards together. The custodians delete their shares of the keys, for ever. Lock "
                 "first; destroy only when it is agreed."},
                {"Burn",
                 "Several cards together. One machine is shut out for ever: one that was in other people’s "
                 "hands."}}},
    .how =
        "Open one of these addresses in the browser of any phone or computer, and scan the square or type the line "
        "below it. The browser warns that it does not know the certificate: its <em>public key</em> must have the "
        "SHA-256 given here; if it is another, stop. Where you cannot look it up: lock all the same, and have this "
        "card replaced afterwards.",
    .call = "Call before you act:"};

constexpr Language kRussian{
    .code = "ru",
    .title = "Карта {}",
    .introduction =
        "Приказы хранилищу организации <strong>{}</strong>. Карта ничего не открывает: прочесть по ней дела нельзя. "
        "Храните её там, где её не найдут при обыске в офисе, и никому не давайте её снимать.",
    .orders = {{{"Блокировка",
                 "Достаточно одной карты. После неё никто не откроет хранилище тем, что есть в офисе, а "
                 "компьютер офиса забудет ключи. Ничего не теряется: блокировку можно снять. "
                 "<strong>Сомневаетесь – блокируйте.</strong>"},
                {"Разблокировка", "Нужно несколько карт. Снимает блокировку."},
                {"Уничтожение",
                 "Нужно несколько карт. Хранители навсегда удаляют свои части ключей. Сначала "
                 "заблокируйте; уничтожайте только по уговору."},
                {"Отключение",
                 "Нужно несколько карт. Один компьютер отключается навсегда: тот, что побывал в чужих "
                 "руках."}}},
    .how =
        "Откройте один из этих адресов в браузере любого телефона или компьютера и снимите камерой квадрат или введите "
        "строку под ним. Браузер предупредит, что не знает сертификата: у его <em>открытого ключа</em> должен быть тот "
        "SHA-256, который стоит здесь; если другой, прекратите. Где посмотреть нельзя: всё равно блокируйте, а карту "
        "потом попросите заменить.",
    .call = "Сначала позвоните:"};

constexpr Markup kStyle = R"(@page { size: A4; margin: 12mm }
body { font: 8pt/1.25 sans-serif; color: #000; background: #fff; max-width: 186mm; margin: 0 auto }
h1 { font-size: 14pt; margin: 0 } h2 { font-size: 9pt; margin: 0 } p, dl { margin: 1.2mm 0 }
.halves { display: grid; grid-template-columns: 1fr 1fr; gap: 6mm } dt { font-weight: bold } dd { margin: 0 0 1mm 0 }
.card { display: grid; grid-template-columns: 82mm 1fr; gap: 5mm; margin: 3mm 0; border: 1px solid #000; padding: 3mm }
svg { width: 82mm; height: 82mm } code { font: 6.5pt/1.2 monospace; overflow-wrap: anywhere }
li { margin: 1mm 0; overflow-wrap: anywhere } ul { padding-left: 4mm; margin: 0 }
.line { margin-top: 2mm; word-break: break-all }
.call { border-bottom: 1px solid #000; height: 8mm; margin-top: 1mm }
)";

std::string custodians(const OrderCard& card) {
  std::string out = "<ul>\n";
  for (const auto& one : card.custodians) {
    put_markup(out, "<li><strong>{}</strong>, {}<br/>https://{}/order<br/><code>{}</code></li>\n",
               {escape_html(one.name), escape_html(one.place), escape_html(one.address), to_hex(one.pin)});
  }
  return out + "</ul>\n";
}

std::string half(const Language& words, const OrderCard& card) {
  std::string out;
  const std::string organisation = card.organisation.empty() ? to_hex(card.vault) : escape_html(card.organisation);
  put_markup(out, "<section lang=\"{}\">\n<h1>", {words.code});
  put_markup(out, words.title, {std::to_string(card.number)});
  out += "</h1>\n<p>";
  put_markup(out, words.introduction, {organisation});
  out += "</p>\n<dl>\n";
  for (const auto& [name, meaning] : words.orders) put_markup(out, "<dt>{}</dt><dd>{}</dd>\n", {name, meaning});
  put_markup(out, "</dl>\n<p>{}</p>\n<h2>{}</h2>\n<div class=\"call\"></div>\n</section>\n", {words.how, words.call});
  return out;
}

}  // namespace

std::string card_html(const OrderCard& card) {
  const std::string line = card_line(card);
  std::string out = page_head("casevault", kStyle);
  put_markup(out, "<div class=\"halves\">\n{}{}</div>\n<div class=\"card\">\n<div>{}</div>\n<div>{}</div>\n</div>\n",
             {half(kEnglish, card), half(kRussian, card), qr_svg(line), custodians(card)});
  put_markup(out, "<p class=\"line\"><code>{}</code></p>\n</body>\n</html>\n", {line});
  return out;
}

}  // namespace casevault
