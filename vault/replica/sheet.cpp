#include "vault/replica/sheet.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include "crypto/disclose.h"
#include "crypto/random.h"
#include "vault/html.h"

namespace casevault {
namespace {

constexpr std::string_view kLine = "casevault-share: ";
constexpr std::size_t kColumns = 3;

struct Language {
  Markup code;
  Markup title;  // number, count
  Markup what;   // organisation, threshold, count
  std::array<Markup, 4> rules;
  Markup set;          // how the set is called
  Markup fingerprint;  // of the vault
  Markup made;
  Markup call;
};

constexpr Language kEnglish{
    .code = "en",
    .title = "Trustee’s share {} of {}",
    .what =
        "This paper helps to bring back the case files of {} when their computers, passphrases and custodians are "
        "gone. It opens nothing alone: any {} of the {} shares are needed, together with a copy of the vault.",
    .rules =
        {"Keep it as you keep a will: dry, locked away, apart from the other shares. Do not photograph it, do not type "
         "it into a phone or a website: the square pattern holds the same words, and any camera reads it. Nobody from "
         "the office needs to see it unless you were asked to help recover.",
         "If you are asked for it: call the person below first, on a number that you know. Come together, bring the "
         "paper. The words are typed, down the columns, into the free program casevault (casevault recovery combine), "
         "on a computer that is trusted. They are a share of SLIP-0039.",
         "To check it once a year, on a trusted computer: casevault recovery check, and type the words. It tells "
         "whether the words are right; with enough shares, whether they would open the vault. It opens nothing.",
         "If it is lost, copied or seized: say so at once. New shares can be made; these then open no copy that is "
         "made "
         "afterwards, but still open older ones."},
    .set = "All shares of this set begin with the words",
    .fingerprint = "Fingerprint of the vault, to be compared when it is recovered",
    .made = "Made on",
    .call = "Call before you give it to anybody:"};

constexpr Language kRussian{
    .code = "ru",
    .title = "Часть ключа {} из {}",
    .what =
        "Этот лист поможет вернуть дела организации {}, если пропали её компьютеры, пароли и хранители. Сам по себе "
        "он ничего не открывает: нужны любые {} из {} частей и копия хранилища.",
    .rules =
        {"Храните его как завещание: в сухом месте, под замком, отдельно от других частей. Не снимайте его, не вводите "
         "в телефон или на сайте: в квадратном узоре те же слова, и их прочтёт любая камера. Никому из офиса не нужно "
         "его видеть, пока вас не попросили помочь восстановить.",
         "Если вас о нём просят: сначала позвоните человеку, указанному ниже, по известному вам номеру. Соберитесь "
         "вместе, принесите листы. Слова вводят по столбцам в свободную программу casevault (casevault recovery "
         "combine) на надёжном компьютере. Это часть ключа по SLIP-0039.",
         "Раз в год проверьте его на надёжном компьютере: casevault recovery check, и введите слова. Программа скажет, "
         "верны ли они, а если частей достаточно, открыли бы они хранилище. Она ничего не открывает.",
         "Если лист потерян, скопирован или изъят: сообщите сразу. Сделают новые части; эти не откроют копий, "
         "сделанных после этого, но старые копии ещё открывают."},
    .set = "Все части этого набора начинаются словами",
    .fingerprint = "Отпечаток хранилища: сверьте его при восстановлении",
    .made = "Сделано",
    .call = "Прежде чем отдать кому-либо, позвоните:"};

constexpr Markup kStyle = R"(@page { size: A4; margin: 12mm }
body { font: 10pt/1.3 sans-serif; color: #000; background: #fff; max-width: 186mm; margin: 0 auto }
h1 { font-size: 15pt; margin: 0 } h2 { font-size: 10.5pt; margin: 0 } p, ul { margin: 1.2mm 0 } ul { padding-left: 4mm }
.halves { display: grid; grid-template-columns: 1fr 1fr; gap: 6mm }
.share { display: grid; grid-template-columns: 62mm 1fr; gap: 5mm; margin: 3mm 0; border: 1px solid #000; padding: 3mm }
ol { columns: 3; margin: 0; padding-left: 9mm; font: 12pt/1.6 monospace }
svg { width: 62mm; height: 62mm }
.call { border-bottom: 1px solid #000; height: 8mm; margin-top: 1mm }
)";

std::string day_of(std::int64_t time_ms) {
  const auto seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm day{};
  std::array<char, 16> text{};
  gmtime_r(&seconds, &day);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &day)};
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

void put_paragraph(std::string& out, std::string_view text) {
  std::size_t column = 0;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const auto width = static_cast<std::size_t>(
        std::ranges::count_if(word, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
    if (column > 0 && column + width >= 78) {
      out += '\n';
      column = 0;
    }
    if (column > 0) out += ' ';
    out += word;
    column += width + 1;
  }
  out += "\n\n";
}

std::string filled(Markup markup, std::initializer_list<std::string_view> values) {
  std::string out;
  put_markup(out, markup, values);
  return out;
}

struct Numbers {
  std::string index, threshold, count;
};
Numbers numbers_of(const NewRecoverySet& shares, std::size_t index) {
  return {std::to_string(index + 1), std::to_string(shares.threshold), std::to_string(shares.count)};
}

void put_language(std::string& out, const Language& words, const SheetSet& set, const NewRecoverySet& shares,
                  const Numbers& numbers) {
  put_paragraph(out, filled(words.title, {numbers.index, numbers.count}));
  put_paragraph(out, filled(words.what, {set.organisation, numbers.threshold, numbers.count}));
  for (const auto& rule : words.rules) put_paragraph(out, rule);
  out += std::string(words.call) + " ______________________________\n\n";
  out += std::string(words.set) + ": " + slip39_set_name(shares.identifier) + "\n";
  out += std::string(words.fingerprint) + ":\n  " + set.fingerprint + "\n";
  out += std::string(words.made) + ": " + day_of(set.time_ms) + "\n\n";
}

std::string half(const Language& words, const SheetSet& set, const NewRecoverySet& shares, const Numbers& numbers) {
  std::string out;
  put_markup(out, "<section lang=\"{}\">\n<h1>{}</h1>\n<p>{}</p>\n<ul>\n",
             {words.code, filled(words.title, {numbers.index, numbers.count}),
              filled(words.what,
                     {"<strong>" + escape_html(set.organisation) + "</strong>", numbers.threshold, numbers.count})});
  for (const auto& rule : words.rules) put_markup(out, "<li>{}</li>\n", {rule});
  put_markup(out, "</ul>\n<h2>{}</h2>\n<div class=\"call\"></div>\n<p>{}: <strong>{}</strong></p>\n",
             {words.call, words.set, slip39_set_name(shares.identifier)});
  put_markup(out, "<p>{}: {}</p>\n<p>{}: {}</p>\n</section>\n",
             {words.fingerprint, set.fingerprint, words.made, day_of(set.time_ms)});
  return out;
}

bool is_sheet_name(std::string_view name) {
  return name.starts_with("trustee-") && (name.ends_with(".txt") || name.ends_with(".html"));
}

Path whole_path(const Path& folder) {
  const auto path = std::filesystem::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

/// A file with another name, too, is that other file: it is only unlinked here.
void shred_file(const Path& path) {
  auto file = std::filesystem::hard_link_count(path) == 1 ? File::open_for_update(path) : std::nullopt;
  if (file) {
    Bytes noise(static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), kMaxSheetFile)));
    fill_random(noise);
    file->write_at(0, noise);
    file->sync();
  }
  remove_file(path);
}

}  // namespace

std::string sheet_text(const SheetSet& set, const NewRecoverySet& shares, std::size_t index) {
  const auto line = disclose_share(shares.shares[index]);
  const auto words = words_of(line);
  const auto numbers = numbers_of(shares, index);
  std::string out;
  put_language(out, kEnglish, set, shares, numbers);
  const std::size_t rows = (words.size() + kColumns - 1) / kColumns;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t place = row; place < words.size(); place += rows) {
      const auto number = std::to_string(place + 1);
      out += std::string(5 - number.size(), ' ') + number + ". " + words[place];
      if (place + rows < words.size()) out += std::string(12 - words[place].size(), ' ');
    }
    out += '\n';
  }
  out += '\n';
  put_language(out, kRussian, set, shares, numbers);
  return out + std::string(kLine) + line + "\n";
}

std::string sheet_html(const SheetSet& set, const NewRecoverySet& shares, std::size_t index) {
  const auto line = disclose_share(shares.shares[index]);
  const auto numbers = numbers_of(shares, index);
  std::string list;
  for (const auto& word : words_of(line)) list += "<li>" + word + "</li>\n";
  std::string out = page_head("casevault", kStyle);
  put_markup(out, "<div class=\"halves\">\n{}{}</div>\n<div class=\"share\">\n<div>{}</div>\n<ol>\n{}</ol>\n</div>\n",
             {half(kEnglish, set, shares, numbers), half(kRussian, set, shares, numbers), qr_svg(line), list});
  return out + "</body>\n</html>\n";
}

void check_sheet_folder(const Path& folder) {
  const auto target = whole_path(folder);
  if (std::filesystem::exists(std::filesystem::symlink_status(target)))
    throw Error(Errc::kUsage, "the folder for the sheets is there already: " + target.string(),
                "name a new one with --shares DIR");
  const auto parent = target.parent_path();
  if (!std::filesystem::is_directory(parent))
    throw Error(Errc::kUsage, "the folder that the sheets are to go to does not exist: " + parent.string(),
                "is the stick plugged in and opened? see: ls " + parent.parent_path().string());
}

std::vector<Path> write_sheets(const Path& folder, const SheetSet& set, const NewRecoverySet& shares) {
  check_sheet_folder(folder);
  const auto target = whole_path(folder);
  const auto partial = target.parent_path() / ("." + to_hex(random_array<8>()) + ".partial");
  make_directory(partial);
  std::vector<Path> files;
  try {
    for (std::size_t i = 0; i < shares.shares.size(); ++i) {
      const auto name = "trustee-" + std::to_string(i + 1);
      write_new_file(partial / (name + ".txt"), as_bytes(sheet_text(set, shares, i)));
      write_new_file(partial / (name + ".html"), as_bytes(sheet_html(set, shares, i)));
      files.push_back(folder / (name + ".txt"));
    }
    replace_by_rename(partial, target);
  } catch (const Error&) {
    if (std::filesystem::exists(partial) && !list_directory(partial).empty()) shred_sheets(partial);
    throw;
  }
  return files;
}

SecretBytes words_in_sheet(ByteView file) {
  auto text = as_text(file);
  const auto at = text.starts_with(kLine) ? 0 : text.rfind("\n" + std::string(kLine));  // the last: names come before
  if (at == text.npos) return SecretBytes::copy_of(file);
  text.remove_prefix(text.find(kLine, at) + kLine.size());
  return SecretBytes::copy_of(as_bytes(text.substr(0, text.find_first_of("\r\n"))));
}

ShreddedSheets shred_sheets(const Path& folder) {
  ShreddedSheets shredded;
  for (const auto& name : list_directory(folder)) {
    const bool is_file = std::filesystem::is_regular_file(std::filesystem::symlink_status(folder / name));
    if (!is_sheet_name(name) || !is_file) {
      shredded.left.push_back(name);
      continue;
    }
    shred_file(folder / name);
    ++shredded.files;
  }
  if (shredded.files == 0)
    throw Error(Errc::kNotFound, "there are no trustees' shares in " + folder.string(),
                "name the folder that --shares made");
  sync_directory(folder);
  if (shredded.left.empty()) remove_empty_directory(folder);
  return shredded;
}

}  // namespace casevault
