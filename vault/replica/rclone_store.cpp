#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "crypto/error.h"
#include "vault/replica/child_program.h"
#include "vault/replica/layout.h"
#include "vault/replica/store.h"

namespace casevault {
namespace {

// Exit statuses of rclone (rclone.org/docs, "Exit code").
constexpr int kNoSuchDirectory = 3;
constexpr int kNoSuchFile = 4;

constexpr std::string_view kFullWords[] = {
    "no space left",        "quota exceeded", "disk quota",          "remaining disk space",
    "insufficient storage", "507 ",           "storage full",        "not enough space",
    "quotaexceeded",        "disk full",      "storagequotaexceeded"};
constexpr std::string_view kRefusedWords[] = {
    "permission denied", "read-only file system",   "read only",   "accessdenied",    "access denied", "403 forbidden",
    "405 method",        "operation not permitted", "object lock", "401 unauthorized"};

bool mentions(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return text;
}

/// `REMOTE:PATH`, or `:backend,option=…:PATH` made up on the spot, whose options may be passwords.
struct Address {
  std::string remote;  // up to and with the colon before the path
  std::string path;
  std::string name;  // of the remote, without options
};

Address parse_address(const std::string& text) {
  if (text.starts_with('-')) throw Error(Errc::kUsage, "the name of a remote does not begin with -");
  bool in_quotes = false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"' || text[i] == '\'') in_quotes = !in_quotes;
    if (in_quotes || text[i] != ':') continue;
    Address address{text.substr(0, i + 1), text.substr(i + 1), {}};
    address.name = address.remote.substr(0, std::min(address.remote.find(','), i));
    return address;
  }
  throw Error(Errc::kUsage, "a remote is written rclone:REMOTE:PATH", "rclone listremotes shows those you have");
}

/// What rclone said of itself while it ran.
struct Talk {
  std::string error;     // the last
  bool is_full = false;  // whatever came after
  std::uint64_t bytes = 0;
};

class RcloneStore : public ReplicaStore {
 public:
  RcloneStore(const std::string& address, const RcloneSettings& settings, const Environment& environment)
      : address_(parse_address(address)),
        program_(find_program("rclone", settings.search_path)),
        variables_(settings.variables),
        environment_(environment) {
    if (program_.empty()) {
      throw Error(Errc::kUsage, "the program rclone, which talks to remotes, is not installed",
                  "sudo apt install rclone");
    }
  }

  std::string label() const override { return "rclone:" + address_.name; }

  Sizes list() override {
    Sizes sizes;
    std::string rest;
    const auto take = [&](ByteView data) {
      rest += as_text(data);
      std::size_t at = 0;
      for (auto end = rest.find('\n'); end != std::string::npos; at = end + 1, end = rest.find('\n', at)) {
        take_listed(std::string_view(rest).substr(at, end - at), sizes);
      }
      rest.erase(0, at);
      constexpr std::size_t kMaxLine = 1u << 16;
      if (rest.size() > kMaxLine) throw Error(Errc::kDamaged, label() + " lists a name without end");
    };
    Talk talk;
    const int status =
        run({"lsf", "--recursive", "--files-only", "--fast-list", "--format", "sp", "--separator", " ", "--include",
             "/bodies/**", "--include", "/objects/**", "--include", "/snapshots/**", spec("")},
            {}, take, talk, {});
    if (status == kNoSuchDirectory) return {};
    if (status != 0) fail("cannot be listed", talk);
    return sizes;
  }

  std::optional<Bytes> read(const std::string& name, std::size_t max_bytes) override {
    Bytes content;
    const auto take = [&](ByteView data) {
      content.insert(content.end(), data.begin(), data.end());
      if (content.size() > max_bytes) throw Error(Errc::kDamaged, name + " is longer than it can be");
    };
    Talk talk;
    const int status = run({"cat", spec(name)}, {}, take, talk, {});
    if (status == kNoSuchDirectory || status == kNoSuchFile) return std::nullopt;
    if (status != 0) fail("cannot be read", talk);
    return content;
  }

  Digests put(const Path& from, const Names& names, const Progress& progress) override {
    Digests digests;
    if (names.empty()) return digests;
    for (const auto& name : names) digests[name] = hash_file(from / name, environment_, {});
    copy(from.string(), spec(""), names, progress, "cannot be written");
    return digests;
  }

  Digests hash(const Names& names, const Progress& progress) override {
    Digests digests;
    if (names.empty()) return digests;
    std::string rest;
    const auto take = [&](ByteView data) {
      rest += as_text(data);
      std::size_t at = 0;
      for (auto end = rest.find('\n'); end != std::string::npos; at = end + 1, end = rest.find('\n', at)) {
        const auto line = std::string_view(rest).substr(at, end - at);
        const auto digest = array_from_hex<32>(line.substr(0, std::min<std::size_t>(64, line.size())));
        if (digest && line.size() > 66) digests[std::string(line.substr(66))] = *digest;
      }
      rest.erase(0, at);
    };
    Talk talk;
    const int status = run({"hashsum", "SHA256", "--download", "--files-from-raw", "-", spec("")}, lines_of(names),
                           take, talk, progress);
    if (status != 0 && digests.empty()) fail("cannot be read back", talk);
    return digests;
  }

  void fetch(const Names& names, const Path& to, const Progress& progress) override {
    if (!names.empty()) copy(spec(""), to.string(), names, progress, "cannot be read");
  }

  void remove(const Names& names) override {
    if (names.empty()) return;
    Talk talk;
    const int status = run({"delete", "--files-from-raw", "-", spec("")}, lines_of(names), {}, talk, {});
    if (status != 0) fail("lets nothing be deleted", talk);
  }

  std::shared_ptr<void> lock() override { return nullptr; }  // remotes have none: the vault's own keeps others away

 private:
  std::string spec(const std::string& name) const {
    const auto& path = address_.path;
    const bool joined = path.empty() || path.ends_with('/');
    return address_.remote + path + (joined || name.empty() ? "" : "/") + name;
  }

  static std::string lines_of(const Names& names) {
    std::string lines;
    for (const auto& name : names) lines += name + "\n";
    return lines;
  }

  static void take_listed(std::string_view line, Sizes& sizes) {
    const auto space = line.find(' ');
    std::uint64_t size = 0;
    if (space == std::string_view::npos) return;
    if (std::from_chars(line.data(), line.data() + space, size).ptr != line.data() + space) return;
    const auto name = line.substr(space + 1);
    if (is_replica_object(name)) sizes[std::string(name)] = size;
  }

  void copy(const std::string& from, const std::string& to, const Names& names, const Progress& progress,
            const char* complaint) {
    Talk talk;
    const int status = run({"copy", "--no-traverse", "--no-check-dest", "--files-from-raw", "-", from, to},
                           lines_of(names), {}, talk, progress);
    if (status != 0) fail(complaint, talk);
  }

  int run(std::vector<std::string> words, std::string input, const std::function<void(ByteView)>& out, Talk& talk,
          const Progress& progress) {
    words.insert(words.begin(), {program_, "--use-json-log", "--stats", "1s", "--stats-log-level", "NOTICE",
                                 "--log-level", "NOTICE", "--ask-password=false"});
    const ChildOutput output{
        .out =
            [&](ByteView data) {
              if (out) out(data);
            },
        .err = [&](std::string_view line) { listen(line, talk, progress); },
    };
    return run_program({std::move(words), variables_, std::move(input)}, output, environment_);
  }

  static void listen(std::string_view line, Talk& talk, const Progress& progress) {
    const auto said = nlohmann::json::parse(line, nullptr, false);
    if (!said.is_object()) {
      if (!line.empty()) hear(std::string(line), talk);
      return;
    }
    if (const auto stats = said.find("stats"); stats != said.end() && stats->is_object()) {
      const auto count = stats->find("bytes");
      const auto bytes = count != stats->end() && count->is_number_unsigned() ? count->get<std::uint64_t>() : 0;
      if (progress && bytes > talk.bytes) progress(bytes - talk.bytes);
      talk.bytes = std::max(talk.bytes, bytes);
    }
    const auto level = text_in(said, "level");
    if (level == "error" || level == "critical" || level == "fatal") hear(text_in(said, "msg"), talk);
  }

  static void hear(const std::string& sentence, Talk& talk) {
    talk.error = sentence;
    talk.is_full = talk.is_full || mentions(lower(sentence), kFullWords);
  }

  static std::string text_in(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  }

  [[noreturn]] void fail(const char* complaint, const Talk& talk) const {
    const auto said = lower(talk.error);
    const auto message = label() + " " + complaint + ": ";
    if (talk.is_full) {
      throw Error(Errc::kNoSpace, message + "no space left there",
                  "make room there, or take another place; then repeat the command: it goes on where it ended");
    }
    if (mentions(said, kRefusedWords)) {
      throw Error(Errc::kNotAllowed, message + "it refuses; rclone says: " + without_options(talk.error));
    }
    if (said.find("didn't find section") != std::string::npos) {
      throw Error(Errc::kUsage, "rclone knows no remote " + address_.name, "rclone config");
    }
    throw Error(
        Errc::kPartial, message + "rclone says: " + without_options(talk.error),
        "see to what it says (the connection, room or rights there), then repeat the command: it goes on where it "
        "ended");
  }

  /// Options of a remote made up on the spot may be passwords.
  std::string without_options(std::string text) const {
    const auto hide = [&](const std::string& what, const std::string& with) {
      for (auto at = text.find(what); !what.empty() && at != std::string::npos;
           at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
      }
    };
    if (address_.remote.size() > address_.name.size() + 1) hide(address_.remote, address_.name + ":");
    const auto comma = address_.remote.find(',');
    if (comma != std::string::npos) hide(address_.remote.substr(comma, address_.remote.size() - comma - 1), "");
    return text;
  }

  Address address_;
  std::string program_;
  std::map<std::string, std::string> variables_;
  const Environment& environment_;
};

}  // namespace

std::unique_ptr<ReplicaStore> make_rclone_store(const std::string& remote, const RcloneSettings& rclone,
                                                const Environment& environment) {
  return std::make_unique<RcloneStore>(remote, rclone, environment);
}

}  // namespace casevault
