#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <span>
#include <utility>

#include "vault/html.h"
#include "vault/records/objects.h"
#include "vault/sharing/custody_report.h"
#include "vault/text.h"

// The page is for people who may have nothing but a browser and a printer, and who must not be harmed by opening it: no
// script, nothing remote, no link that leaves it. It is XML, too, so that tests can tell whether it is well-formed.

namespace casevault {
namespace {

struct Gloss {
  std::string_view word;  // as the audit log has it
  std::string_view meaning;
};

/// Everything that differs between the two halves of the page.
struct Language {
  Markup code;
  Markup title;
  Markup introduction;
  Markup organisation, shared_by, shared_at, files, fingerprint, key, note;
  Markup file_count;  // number, bytes

  Markup bag_heading, bag_text;
  std::array<Markup, 7> bag_columns;

  Markup steps_heading, steps_text;
  std::array<Markup, 6> steps_columns;
  Markup bag_signature;  // in place of a person
  Markup version;        // record, version
  Markup organisations_text;
  std::array<Markup, 3> organisations_columns;

  Markup log_heading, log_text;  // size, root
  Markup log_undisclosed, log_empty, log_events;
  std::array<Markup, 7> log_columns;

  Markup check_heading;
  Markup check;  // command, count of files, fingerprint, key

  Markup limits_heading;
  Markup limits;

  Markup unknown;
  std::array<Gloss, 20> glosses;
};

constexpr Language kEnglish{
    .code = "en",
    .title = "Chain of custody",
    .introduction =
        "This page lists the files of one bundle, who vouched for them by signature and when, and how you can check "
        "that yourself. The sender’s program made it. Rely on it only after the check in section&#160;4 has "
        "succeeded.",
    .organisation = "Sender",
    .shared_by = "Shared by",
    .shared_at = "Shared at (UTC)",
    .files = "Files",
    .fingerprint = "Fingerprint of the sender’s keys, in words",
    .key = "Sender’s signing key (minisign)",
    .note = "Sender’s note",
    .file_count = "{}, {} bytes together",

    .bag_heading = "1. What is in the bundle",
    .bag_text =
        "One line for each file. SHA-256 is a checksum of the content: files that have the same one are the same to "
        "the last bit. Characters that cannot be seen, or that change the direction of writing, are shown as codes "
        "such as <code>\\u202e</code>.",
    .bag_columns = {"No.", "Record", "File in the bundle", "Original name; title", "Type", "Size, bytes", "SHA-256"},

    .steps_heading = "2. Who vouched for each file, and when",
    .steps_text =
        "Each step is one organisation that held the file: one of its members signed this version of the record, or "
        "the organisation signed a bundle that held it. The earliest step comes first, the sender’s last. Times are "
        "UTC, by the signer’s own clock. The number after an organisation’s name refers to the list below the table.",
    .steps_columns = {"File", "Step", "Organisation", "Signed by", "Record and version there", "Time (UTC)"},
    .bag_signature = "signature of the organisation on its bundle",
    .version = "{}, version {}",
    .organisations_text =
        "Organisations and the fingerprints of their root keys. Organisations of the same name with different "
        "fingerprints are different organisations until they prove otherwise.",
    .organisations_columns = {"No.", "Organisation", "Fingerprint of its root key, in words"},

    .log_heading = "3. Entries of the sender’s audit log",
    .log_text =
        "When the bundle was made, the log had this number of entries: {}. Its root hash (RFC&#160;6962, SHA-256) "
        "was <code>{}</code>.",
    .log_undisclosed =
        "No entries are shown: the person who shared this bundle has no right to read the audit log. This says "
        "nothing about what the log holds.",
    .log_empty = "No entries came with this bundle.",
    .log_events =
        "Each entry below comes with a proof that it is part of that log: the file in the last column. Times are "
        "UTC, by the clock of the person’s computer.",
    .log_columns = {"Entry", "Time (UTC)", "Person", "Action", "Objects", "Outcome", "Proof"},

    .check_heading = "4. How to check this",
    .check = R"(<ol>
<li>On a computer that you trust, install <code>age</code> and <code>minisign</code> from your system’s own source of
programs; <code>tar</code> and <code>sha256sum</code> come with every Linux. casevault is not needed.</li>
<li>Put the bundle (here <code>x.age</code>) and your age key (<code>key.txt</code>) into an empty folder, and run
there:
<pre>{}</pre>
This decrypts and unpacks the bundle, compares every file with its checksum, and checks the organisation’s
signature. It has succeeded only if no error is reported and the end of the output says <code>Signature and
comment signature verified</code>.</li>
<li>Then run in the same folder (<code>bag</code>):
<pre>sha256sum -c tagmanifest-sha256.txt</pre>
The signature is on this list, and the list covers <code>manifest-sha256.txt</code> with the checksums of all
files, and everything below <code>casevault/</code>, this page included. Without this step the signature says
nothing about the files.</li>
<li>Only files that are listed are covered.
<pre>find data -type f | wc -l</pre>
must give {}; any other file in the folder is not part of the bundle.</li>
<li>Make sure that the key is the sender’s. The key and the words on this page are only as good as the page.
Telephone the organisation at a number that you know from elsewhere, not from this page or the message that it
came with. Have them read to you, from their own screen (<code>casevault contact self</code>), the words
<strong>{}</strong> and the key <code>{}</code>. Compare both, to the last character.</li>
<li>In the same way, ask each earlier organisation in section&#160;2 for the fingerprint of its root key, as far as
its steps matter to you.</li>
<li>The commands above do not check the signatures of persons (<code>casevault/bundle.json</code>) or the proofs for
the audit log (<code>casevault/proofs/</code>). <code>casevault receive</code> does, and so does any program that
follows the published format.</li>
<li>Keep the file <code>x.age</code> as it came. Whoever doubts the result can repeat the check with it.</li>
</ol>)",

    .limits_heading = "5. What this does not prove",
    .limits = R"(<ul>
<li><strong>When something happened.</strong> Every time here was taken from the clock of whoever signed. Nobody else
confirms it.</li>
<li><strong>That the content is true.</strong> A checksum shows that a file is unchanged, not that what it says or
shows is so.</li>
<li><strong>Who sat at the keyboard.</strong> A signature shows that a person’s key was used, not by whom.</li>
<li><strong>What happened before a file was added.</strong> Where it came from, who made it, and whether it had been
changed by then, does not follow from anything here.</li>
<li><strong>That nothing was left out.</strong> The sender chose what to put into the bundle.</li>
<li><strong>That the log shows everything.</strong> Entries of the audit log count only where they are disclosed in
section&#160;3; there may be others.</li>
<li><strong>Whom a name belongs to.</strong> Each organisation vouches for the names of its own members.</li>
<li><strong>The steps of earlier organisations</strong>, unless you know the fingerprints of their root keys from
those organisations themselves. Where an organisation only signed a bundle, the next one vouches for having
checked that signature.</li>
</ul>)",

    .unknown = "not stated",
    .glosses = {{{"add", "adding a file"},
                 {"testimony-add", "adding testimony"},
                 {"update", "adding a new version"},
                 {"withdraw", "withdrawing and erasing"},
                 {"cat", "reading the content"},
                 {"show", "viewing the details"},
                 {"history", "viewing the history"},
                 {"list", "viewing the list"},
                 {"search", "searching"},
                 {"export", "writing out as files"},
                 {"share", "putting into a bundle"},
                 {"receive", "taking from a bundle"},
                 {"verify", "checking"},
                 {"case-grant", "giving access"},
                 {"case-revoke", "withdrawing access"},
                 {"case-close", "closing the case"},
                 {"done", "completed"},
                 {"begun", "started"},
                 {"refused", "not allowed"},
                 {"failed", "without success"}}},
};

constexpr Language kRussian{
    .code = "ru",
    .title = "Цепочка хранения доказательств",
    .introduction =
        "На этой странице перечислены файлы, переданные в одном пакете, указано, кто и когда удостоверил их "
        "подписью, и описано, как проверить это самостоятельно. Страница составлена программой отправителя; "
        "полагаться на неё можно только после успешной проверки по разделу&#160;4.",
    .organisation = "Отправитель",
    .shared_by = "Лицо, передавшее пакет",
    .shared_at = "Время передачи (UTC)",
    .files = "Файлы",
    .fingerprint = "Отпечаток ключей отправителя (слова)",
    .key = "Ключ подписи отправителя (minisign)",
    .note = "Сообщение отправителя",
    .file_count = "{}, общий размер в байтах: {}",

    .bag_heading = "1. Содержимое пакета",
    .bag_text =
        "Каждому файлу отведена одна строка. SHA-256 — контрольная сумма содержимого: файлы с одинаковой контрольной "
        "суммой совпадают до последнего бита. Невидимые символы и символы, меняющие направление письма, показаны "
        "кодами, например <code>\\u202e</code>.",
    .bag_columns = {"№", "Материал", "Файл в пакете", "Исходное имя; заголовок", "Тип", "Размер, байт", "SHA-256"},

    .steps_heading = "2. Хранители каждого файла и время подписания",
    .steps_text =
        "Каждый шаг — одна организация-хранитель: её участник подписал эту версию материала либо сама организация "
        "подписала пакет, в котором находился файл. Шаги идут от самого раннего к последнему — шагу отправителя. "
        "Время указано по UTC, по часам подписавшего. Число после названия организации отсылает к перечню под "
        "таблицей.",
    .steps_columns = {"Файл", "Шаг", "Хранитель", "Кем подписано", "Материал и версия у хранителя", "Время (UTC)"},
    .bag_signature = "подпись организации на её пакете",
    .version = "{}, версия {}",
    .organisations_text =
        "Организации и отпечатки их корневых ключей. Одноимённые организации с разными отпечатками следует считать "
        "разными, пока не доказано обратное.",
    .organisations_columns = {"№", "Организация", "Отпечаток корневого ключа (слова)"},

    .log_heading = "3. Записи журнала аудита отправителя",
    .log_text =
        "Число записей в журнале на момент составления пакета: {}. Корневой хеш журнала (RFC&#160;6962, SHA-256): "
        "<code>{}</code>.",
    .log_undisclosed =
        "Записи не приведены: лицо, передавшее пакет, не имеет права читать журнал аудита. Это ничего не говорит о "
        "содержании журнала.",
    .log_empty = "С этим пакетом записи не переданы.",
    .log_events =
        "К каждой приведённой ниже записи приложено доказательство её включения в этот журнал — файл, указанный в "
        "последнем столбце. Время указано по UTC, по часам компьютера, на котором работало названное лицо.",
    .log_columns = {"Запись", "Время (UTC)", "Лицо", "Действие", "Объекты", "Результат", "Доказательство включения"},

    .check_heading = "4. Порядок проверки",
    .check = R"(<ol>
<li>На компьютере, которому вы доверяете, установите программы <code>age</code> и <code>minisign</code> из
официального репозитория вашей системы; <code>tar</code> и <code>sha256sum</code> есть в любой системе Linux.
Программа casevault для проверки не нужна.</li>
<li>Поместите пакет (здесь — <code>x.age</code>) и свой ключ age (<code>key.txt</code>) в пустую папку и выполните в
ней команду:
<pre>{}</pre>
Она расшифровывает и распаковывает пакет, сверяет каждый файл с его контрольной суммой и проверяет подпись
организации. Проверка успешна, только если нет сообщений об ошибках и в конце выведено: <code>Signature and
comment signature verified</code>.</li>
<li>Затем в той же папке (<code>bag</code>) выполните:
<pre>sha256sum -c tagmanifest-sha256.txt</pre>
Подписан именно этот список, а он охватывает файл <code>manifest-sha256.txt</code> с контрольными суммами всех
файлов и всё содержимое папки <code>casevault/</code>, включая эту страницу. Без этого шага подпись ничего не
говорит о файлах.</li>
<li>Проверка охватывает только перечисленные файлы. Команда
<pre>find data -type f | wc -l</pre>
должна вывести число {}; любой иной файл в этой папке частью пакета не является.</li>
<li>Убедитесь, что ключ принадлежит отправителю. Ключ и слова, приведённые здесь, достоверны лишь настолько,
насколько достоверна сама страница. Позвоните в организацию по номеру, известному вам из другого источника, а не с
этой страницы и не из сообщения, с которым пришёл пакет. Пусть вам прочитают со своего экрана (<code>casevault
contact self</code>) слова <strong>{}</strong> и ключ <code>{}</code>. Сверьте и то и другое до последнего знака.</li>
<li>Таким же образом узнайте у каждой из предшествующих организаций, указанных в разделе&#160;2, отпечаток её
корневого ключа — в той мере, в какой её шаги имеют для вас значение.</li>
<li>Приведённые команды не проверяют подписи отдельных лиц (<code>casevault/bundle.json</code>) и доказательства
включения в журнал аудита (<code>casevault/proofs/</code>). Их проверяет команда <code>casevault receive</code>
или любая программа, следующая опубликованному формату.</li>
<li>Сохраните файл <code>x.age</code> в том виде, в каком он получен: по нему проверку сможет повторить каждый, кто
сомневается в её результате.</li>
</ol>)",

    .limits_heading = "5. Чего этот документ не доказывает",
    .limits = R"(<ul>
<li><strong>Времени событий.</strong> Всякое время здесь взято с часов того, кто подписывал; никто другой его не
подтверждает.</li>
<li><strong>Достоверности содержания.</strong> Контрольная сумма показывает, что файл не изменён, но не то, что
изложенное или изображённое в нём соответствует действительности.</li>
<li><strong>Того, кто находился за клавиатурой.</strong> Подпись показывает, что был применён ключ лица, но не то,
кто его применил.</li>
<li><strong>Того, что было до внесения файла.</strong> Откуда файл получен, кем создан и не был ли изменён до этого
момента, из приведённых сведений не следует.</li>
<li><strong>Полноты пакета.</strong> Что включить в пакет, решал отправитель; что-либо могло быть не включено.</li>
<li><strong>Полноты сведений журнала.</strong> Записи журнала аудита учитываются лишь в той части, в какой они
раскрыты в разделе&#160;3; могут существовать и другие.</li>
<li><strong>Принадлежности имени определённому лицу.</strong> За имена своих участников ручается каждая организация
сама.</li>
<li><strong>Шагов предшествующих организаций</strong> — если отпечатки их корневых ключей не известны вам от самих
этих организаций. Если организация лишь подписала пакет, то за проверку этой подписи ручается следующая
организация.</li>
</ul>)",

    .unknown = "не указано",
    .glosses = {{{"add", "внесение файла"},
                 {"testimony-add", "внесение показаний"},
                 {"update", "внесение новой версии"},
                 {"withdraw", "изъятие и стирание"},
                 {"cat", "чтение содержимого"},
                 {"show", "просмотр сведений"},
                 {"history", "просмотр истории"},
                 {"list", "просмотр перечня"},
                 {"search", "поиск"},
                 {"export", "выгрузка в файлы"},
                 {"share", "включение в пакет"},
                 {"receive", "приём из пакета"},
                 {"verify", "проверка"},
                 {"case-grant", "предоставление доступа"},
                 {"case-revoke", "отзыв доступа"},
                 {"case-close", "закрытие дела"},
                 {"done", "завершено"},
                 {"begun", "начато"},
                 {"refused", "отказано"},
                 {"failed", "безуспешно"}}},
};

constexpr Markup kStyle = R"(@page { size: A4; margin: 15mm }
body { font: 11pt/1.45 serif; color: #000; background: #fff; max-width: 62em; margin: 0 auto; padding: 1em }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 1.6em } h1, h2 { break-after: avoid }
table { border-collapse: collapse; width: 100%; font-size: .85em }
th, td { border: 1px solid #000; padding: .25em .4em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
thead { display: table-header-group } tr { break-inside: avoid }
code, pre { font-family: monospace; overflow-wrap: anywhere } code { font-size: .95em }
pre { white-space: pre-wrap; border: 1px solid #000; padding: .5em; margin: .5em 0 }
li { margin: .4em 0 } a { color: #000 } .wide { overflow-x: auto } .name { min-width: 8em } .hash { min-width: 17em }
section + section { border-top: 3px double #000; margin-top: 3em }
@media (max-width: 45em) { .wide table { min-width: 48em } }
@media print {
  body { font-size: 9.5pt; max-width: none; padding: 0 } nav { display: none } .wide { overflow: visible }
  section + section { border: 0; margin: 0; break-before: page }
}
)";

constexpr Markup kNavigation = R"(<nav><a href="#en" lang="en">English</a> · <a href="#ru" lang="ru">Русский</a></nav>
)";

// ---- Values.

/// What may stand in the page for any bytes at all.
std::string shown(std::string_view value) {
  auto visible = escape_for_display(value);
  // U+FFFE and U+FFFF are UTF-8, but no characters of XML.
  for (const auto& [bytes, name] : {std::pair{"\xEF\xBF\xBE", "\\ufffe"}, std::pair{"\xEF\xBF\xBF", "\\uffff"}}) {
    for (auto at = visible.find(bytes); at != std::string::npos; at = visible.find(bytes, at))
      visible.replace(at, 3, name);
  }
  return escape_html(visible);
}

/// Names of people and files, whose direction of writing must not reach the text around them.
std::string isolated(std::string_view value) { return "<bdi>" + shown(value) + "</bdi>"; }

/// Each line by itself.
std::string lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    out += (out.empty() ? "" : "<br/>") + isolated(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// "2026-03-04 12:34:56"; empty where unknown, or outside the years that have four digits.
std::string to_second(std::int64_t time_ms) {
  using namespace std::chrono;
  constexpr sys_time<milliseconds> kFirst = sys_days(year(1) / 1 / 1);
  constexpr sys_time<milliseconds> kEnd = sys_days(year(10000) / 1 / 1);
  const sys_time<milliseconds> time{milliseconds(time_ms)};
  if (time_ms == 0 || time < kFirst || time >= kEnd) return "";
  const hh_mm_ss clock(floor<seconds>(time - floor<days>(time)));
  char text[32];
  static_cast<void>(std::snprintf(text, sizeof text, " %02d:%02d:%02d", static_cast<int>(clock.hours().count()),
                                  static_cast<int>(clock.minutes().count()),
                                  static_cast<int>(clock.seconds().count())));
  return to_date(time_ms) + text;
}

/// What opens and checks a bundle with stock tools. People copy it into a shell: nothing but a key may stand at its
/// end.
std::string check_command(std::string_view key) {
  constexpr std::size_t kKeySize = 56;  // base64 of 42 bytes
  const bool is_key =
      key.size() == kKeySize && std::ranges::all_of(key, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
      });
  std::string command =
      "age -d -i key.txt x.age | tar x && cd bag && sha256sum -c manifest-sha256.txt && "
      "minisign -Vm tagmanifest-sha256.txt -P ";
  return shown(command.append(is_key ? key : "KEY"));
}

// ---- The page.

/// Numbers for the organisations of all steps, in order: their fingerprints are too long to repeat on each line.
class Organisations {
 public:
  using Organisation = std::pair<std::string_view, std::string_view>;  // name, root
  explicit Organisations(const CustodyReport& report) {
    for (const auto& record : report.records) {
      for (const auto& hop : record.hops) {
        if (numbers_.try_emplace({hop.organisation, hop.root}, list_.size() + 1).second)
          list_.emplace_back(hop.organisation, hop.root);
      }
    }
  }
  std::size_t number(const CustodyHop& hop) const { return numbers_.at({hop.organisation, hop.root}); }
  const std::vector<Organisation>& list() const { return list_; }

 private:
  std::map<Organisation, std::size_t> numbers_;
  std::vector<Organisation> list_;
};

/// The report in one language, appended to the page.
class Half {
 public:
  Half(std::string& out, const Language& words, const CustodyReport& report, const Organisations& organisations)
      : out_(out), words_(words), report_(report), organisations_(organisations) {}

  void write() {
    put("<section id=\"{}\" lang=\"{}\">\n<h1>{}</h1>\n<p>{}</p>\n",
        {words_.code, words_.code, words_.title, words_.introduction});
    write_summary();
    write_bag();
    write_steps();
    write_organisations();
    write_log();
    write_check();
    write_limits();
    put("</section>\n");
  }

 private:
  /// `values` stand in for `{}` in order; they are markup, so values of the report are `shown` by then.
  void put(Markup markup, std::initializer_list<std::string_view> values = {}) { put_markup(out_, markup, values); }

  void heading(Markup id, Markup text) { put("<h2 id=\"{}-{}\">{}</h2>\n", {words_.code, id, text}); }
  void paragraph(Markup text, std::initializer_list<std::string_view> values = {}) {
    put("<p>");
    put(text, values);
    put("</p>\n");
  }
  void begin_table(std::span<const Markup> columns) {
    put("<div class=\"wide\"><table>\n<thead><tr>");
    for (const auto column : columns) put("<th>{}</th>", {column});
    put("</tr></thead>\n<tbody>\n");
  }
  void end_table() { put("</tbody>\n</table></div>\n"); }

  std::string or_unknown(std::string_view markup) const {
    return std::string(markup.empty() ? words_.unknown : markup);
  }
  std::string name_or_unknown(std::string_view name) const { return name.empty() ? or_unknown("") : isolated(name); }

  /// A word of the audit log, with what it means where we know it.
  std::string glossed(std::string_view word) const {
    auto out = "<code>" + shown(word) + "</code>";
    const auto gloss = std::ranges::find(words_.glosses, word, &Gloss::word);
    if (gloss != words_.glosses.end()) out.append(" (").append(gloss->meaning).append(")");
    return out;
  }

  void summary_line(Markup label, std::string_view markup) {
    put("<tr><th>{}</th><td>{}</td></tr>\n", {label, markup});
  }

  void write_summary() {
    std::uint64_t bytes = 0;
    for (const auto& record : report_.records) bytes += record.size;
    put("<table>\n<tbody>\n");
    summary_line(words_.organisation, name_or_unknown(report_.organisation));
    summary_line(words_.shared_by, name_or_unknown(report_.person));
    summary_line(words_.shared_at, or_unknown(to_second(report_.time_ms)));
    put("<tr><th>{}</th><td>", {words_.files});
    put(words_.file_count, {std::to_string(report_.records.size()), std::to_string(bytes)});
    put("</td></tr>\n");
    summary_line(words_.fingerprint, shown(report_.fingerprint));
    summary_line(words_.key, "<code>" + shown(report_.sign_key) + "</code>");
    if (!report_.note.empty()) summary_line(words_.note, lines(report_.note));
    put("</tbody>\n</table>\n");
  }

  void write_bag() {
    heading("bag", words_.bag_heading);
    paragraph(words_.bag_text);
    begin_table(words_.bag_columns);
    std::size_t number = 0;
    for (const auto& record : report_.records) {
      const auto title = record.title.empty() ? "" : "<br/>" + isolated(record.title);
      put("<tr><td>{}</td><td>{}</td><td class=\"name\">{}</td><td class=\"name\">{}{}</td>",
          {std::to_string(++number), shown(record.record), isolated(record.path), isolated(record.name), title});
      put("<td>{}</td><td>{}</td><td class=\"hash\"><code>{}</code></td></tr>\n",
          {shown(record.media_type), std::to_string(record.size), to_hex(record.sha256)});
    }
    end_table();
  }

  /// Without a person's signature, an organisation has only signed the bundle that held the file.
  std::string signer(const CustodyHop& hop) const {
    if (!hop.person.empty()) return isolated(hop.person);
    return std::string(hop.root.empty() ? words_.bag_signature : words_.unknown);
  }

  void write_step(std::size_t file, std::size_t step, const CustodyHop& hop) {
    const auto organisation = std::to_string(organisations_.number(hop));
    put("<tr><td>{}</td><td>{}</td><td class=\"name\">{} <a href=\"#{}-o{}\">[{}]</a></td><td>{}</td><td>",
        {std::to_string(file), std::to_string(step), name_or_unknown(hop.organisation), words_.code, organisation,
         organisation, signer(hop)});
    if (hop.record.empty()) {
      put(words_.unknown);
    } else {
      put(words_.version, {shown(hop.record), std::to_string(hop.version)});
    }
    put("</td><td>{}</td></tr>\n", {or_unknown(to_second(hop.time_ms))});
  }

  void write_steps() {
    heading("steps", words_.steps_heading);
    paragraph(words_.steps_text);
    begin_table(words_.steps_columns);
    std::size_t file = 0;
    for (const auto& record : report_.records) {
      ++file;
      std::size_t step = 0;
      for (const auto& hop : record.hops) write_step(file, ++step, hop);
    }
    end_table();
  }

  void write_organisations() {
    paragraph(words_.organisations_text);
    begin_table(words_.organisations_columns);
    std::size_t number = 0;
    for (const auto& [name, root] : organisations_.list()) {
      const auto text = std::to_string(++number);
      put("<tr id=\"{}-o{}\"><td>{}</td><td class=\"name\">{}</td><td>{}</td></tr>\n",
          {words_.code, text, text, name_or_unknown(name), or_unknown(shown(root))});
    }
    end_table();
  }

  void write_log() {
    heading("log", words_.log_heading);
    paragraph(words_.log_text, {std::to_string(report_.log_size), or_unknown(shown(report_.log_root))});
    if (!report_.events_disclosed) paragraph(words_.log_undisclosed);
    if (report_.events_disclosed && report_.events.empty()) paragraph(words_.log_empty);
    if (report_.events.empty()) return;
    paragraph(words_.log_events);
    begin_table(words_.log_columns);
    for (const auto& event : report_.events) {
      put("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
          {std::to_string(event.index), or_unknown(to_second(event.time_ms)), name_or_unknown(event.person),
           glossed(event.action), isolated(event.objects), glossed(event.outcome), shown(event.proof)});
    }
    end_table();
  }

  void write_check() {
    heading("check", words_.check_heading);
    put(words_.check, {check_command(report_.sign_key), std::to_string(report_.records.size()),
                       shown(report_.fingerprint), shown(report_.sign_key)});
  }

  void write_limits() {
    heading("limits", words_.limits_heading);
    put(words_.limits);
  }

  std::string& out_;
  const Language& words_;
  const CustodyReport& report_;
  const Organisations& organisations_;
};

}  // namespace

std::string custody_html(const CustodyReport& report) {
  const Organisations organisations(report);
  std::string out = page_head("Chain of custody – Цепочка хранения доказательств", kStyle) + std::string(kNavigation);
  for (const auto* words : {&kEnglish, &kRussian}) Half(out, *words, report, organisations).write();
  out += "</body>\n</html>\n";
  return out;
}

}  // namespace casevault
