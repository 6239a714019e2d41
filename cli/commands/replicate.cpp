#include "vault/replica/replicate.h"

#include <ctime>

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/guarded.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/rclone.h"
#include "cli/session.h"

namespace casevault {
namespace {

constexpr std::uint64_t kMaxKeep = 1'000'000;
constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kDayMs = 24 * 60 * kMinuteMs;
constexpr std::int64_t kRetryMs = 15 * kMinuteMs;
constexpr std::uint64_t kMaxEveryMinutes = 60 * 24 * 7;

std::optional<std::uint64_t> number_option(Invocation& call, const char* name, std::uint64_t max) {
  const auto text = call.value(name);
  if (!text) return std::nullopt;
  const auto number = parse_number(*text);
  if (number && *number >= 1 && *number <= max) return number;
  throw Error(Errc::kUsage, "--" + std::string(name) + " takes a number from 1 to " + std::to_string(max),
              help_hint(call.command()));
}

void print_result(Invocation& call, const Replicated& done, bool dry_run, bool checked) {
  for (const auto& warning : done.warnings) call.out().warning(warning);
  for (const auto& name : done.unmended)
    call.out().warning(name + " is bad there, and only older snapshots need it: they cannot be restored whole");
  if (call.json()) {
    call.out().object({{"snapshot", done.number},
                       {"time", dry_run ? "" : iso_time(done.time_ms)},
                       {"target", done.label},
                       {"dry_run", dry_run},
                       {"size", done.bytes},
                       {"large_files", done.bodies},
                       {"sent_objects", done.sent_objects},
                       {"sent_bytes", done.sent_bytes},
                       {"sent_database_bytes", done.sent_database_bytes},
                       {"deleted_snapshots", done.deleted_snapshots},
                       {"deleted_objects", done.deleted_objects},
                       {"checked_objects", done.checked_objects},
                       {"mended_objects", done.mended_objects},
                       {"unmended_objects", done.unmended.size()}});
    return;
  }
  const auto sent = count_of(done.sent_objects, "object", "objects") + ", " + size_for_people(done.sent_bytes);
  if (dry_run) {
    call.out().line("would send " + sent + " as snapshot " + std::to_string(done.number) + " of " +
                    size_for_people(done.bytes) + " to " + done.label);
    return;
  }
  call.out().line("snapshot " + std::to_string(done.number) + " of " + size_for_people(done.bytes) + " in " +
                  done.label + "; sent and read back: " + sent);
  if (checked) {
    call.out().line("checked there: " + count_of(done.checked_objects, "object", "objects") + ", " +
                    size_for_people(done.checked_bytes) +
                    "; sent again, for they were bad: " + std::to_string(done.mended_objects));
  }
  if (done.deleted_snapshots > 0) {
    call.out().line("deleted: " + count_of(done.deleted_snapshots, "older snapshot", "older snapshots") + ", " +
                    count_of(done.deleted_objects, "object", "objects"));
  }
}

int replicate_once(Invocation& call, Session& session) {
  const auto& target = call.argument(0);
  const ReplicateRequest request{.dry_run = call.has("dry-run"),
                                 .keep = number_option(call, "keep", kMaxKeep),
                                 .check = call.has("check"),
                                 .is_new = call.has("new")};
  const auto store = open_replica_store(target, rclone_settings(call.process()), session.environment());
  const auto done = replicate(session, *store, target, request, [&](std::uint64_t now, std::uint64_t total) {
    call.out().progress(request.check ? "checking, then replicating" : "replicating", now, total);
  });
  call.out().end_progress();
  print_result(call, done, request.dry_run, request.check);
  return done.kept_all || !done.unmended.empty() ? static_cast<int>(Errc::kPartial) : 0;
}

/// One round of --watch: through the guard where one is unlocked, else with what the passphrase, asked once, gave.
class Watch {
 public:
  explicit Watch(Invocation& call) : call_(call) {
    every_ms_ = static_cast<std::int64_t>(number_option(call, "every", kMaxEveryMinutes).value_or(60)) * kMinuteMs;
  }

  int run() {
    for (;;) {
      const auto mark = change_mark(call_.vault_folder());
      if (is_due(mark)) make_round(mark);
      if (!pause()) return 0;
    }
  }

 private:
  std::int64_t now() const { return call_.process().environment.now_ms(); }

  bool is_due(const std::string& mark) const {
    if (tried_ms_ == 0 || now() < tried_ms_) return true;
    if (failed_) return now() - tried_ms_ >= kRetryMs;
    return now() - done_ms_ >= kDayMs || (mark != mark_ && now() - done_ms_ >= every_ms_);
  }

  void make_round(const std::string& mark) {
    tried_ms_ = std::max<std::int64_t>(1, now());
    try {
      failed_ = replicate_somehow() != 0;
    } catch (const Error& error) {
      if (!can_wait(error.code())) throw;
      failed_ = true;
      call_.out().end_progress();
      call_.out().warning(std::string(error.what()) + "; tried again in 15 minutes");
    }
    if (failed_) return;
    done_ms_ = tried_ms_;
    mark_ = mark;
  }

  bool can_wait(Errc code) const {
    switch (code) {
      case Errc::kUsage:  // a disk that was there before was taken out
        return done_ms_ > 0;
      case Errc::kBusy:
      case Errc::kPartial:
      case Errc::kNoSpace:
      case Errc::kNotAllowed:
      case Errc::kTooFewCustodians:
        return true;
      default:
        return false;
    }
  }

  int replicate_somehow() {
    if (!access_) {
      std::vector<std::string> words = {"replicate", "--vault", call_.vault_folder(), "--user", call_.user()};
      for (const char* flag : {"json", "quiet"}) {
        if (call_.has(flag)) words.push_back("--" + std::string(flag));
      }
      if (const auto keep = call_.value("keep")) words.insert(words.end(), {"--keep", *keep});
      words.insert(words.end(), {"--", call_.argument(0)});
      if (const auto status = run_in_guard(call_, words)) return *status;
    }
    auto vault = Vault::open(call_.vault_folder(), call_.process().environment);
    if (!access_) access_ = vault.slot_access(call_.user(), current_passphrase(call_, "Passphrase of " + call_.user()));
    Session session = vault.unlock(*access_);
    for (const auto& warning : session.warnings()) call_.out().warning(warning);
    const int status = replicate_once(call_, session);
    call_.out().flush();
    return status;
  }

  /// False once the user, or the system, wants it to end.
  bool pause() const {
    constexpr int kSeconds = 10;
    for (int i = 0; i < kSeconds; ++i) {
      if (call_.process().environment.interrupted()) return false;
      const timespec second{1, 0};
      nanosleep(&second, nullptr);
    }
    return !call_.process().environment.interrupted();
  }

  Invocation& call_;
  std::int64_t every_ms_ = 0;
  std::int64_t tried_ms_ = 0;
  std::int64_t done_ms_ = 0;
  bool failed_ = false;
  std::string mark_;
  std::optional<SlotAccess> access_;
};

int run_replicate(Invocation& call) {
  number_option(call, "keep", kMaxKeep);
  constexpr std::pair<const char*, const char*> kApart[] = {
      {"watch", "dry-run"}, {"watch", "check"}, {"watch", "new"}, {"check", "dry-run"}};
  for (const auto& [one, other] : kApart) {
    if (!call.has(one) || !call.has(other)) continue;
    throw Error(Errc::kUsage, "--" + std::string(one) + " and --" + other + " do not go together",
                help_hint(call.command()));
  }
  if (call.has("every") && !call.has("watch")) {
    throw Error(Errc::kUsage, "--every goes with --watch", help_hint(call.command()));
  }
  check_replica_target(call.vault_folder(), call.argument(0));  // said before any passphrase is asked
  if (call.has("watch")) return Watch(call).run();
  if (is_remote(call.argument(0))) {
    open_replica_store(call.argument(0), rclone_settings(call.process()), call.process().environment);
  }
  OpenVault vault(call);
  const int status = replicate_once(call, vault.session());
  if (!call.has("dry-run"))
    call.out().next("see that it can be brought back: casevault restore " + shell_word(call.argument(0)) +
                    " --vault NEWDIR");
  if (is_remote(call.argument(0))) {
    call.out().note(
        "to bring it back on another machine you need the keys of this remote (rclone config file): keep a copy "
        "elsewhere");
  }
  return status;
}

}  // namespace

Command replicate_command() {
  return {
      .name = "replicate",
      .arguments = "TARGET",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "copy the sealed vault to another place",
      .description =
          "Copies what is sealed, and no key, to a folder or to rclone:REMOTE:PATH (S3, SFTP, WebDAV and what else "
          "rclone knows).\n"
          "Each run makes a snapshot; what is there already is not sent again, what is sent is read back and compared, "
          "and older\n"
          "snapshots stay whole. Interrupted, repeat it: it goes on where it ended. Nothing is deleted unless --keep "
          "says so, and\n"
          "never the newest snapshot.\n"
          "\n"
          "With --watch it goes on until it is ended: a snapshot when something was changed, and one a day. It works "
          "through the\n"
          "guard while the vault is unlocked there; else it asks for the passphrase once and keeps the key in locked "
          "memory.",
      .options =
          {{.name = "dry-run", .value = nullptr, .help = "only say what would be sent"},
           {.name = "keep", .value = "N", .help = "delete all but the newest N snapshots there"},
           {.name = "check", .value = nullptr, .help = "read everything there, and send again what is missing or bad"},
           {.name = "new", .value = nullptr, .help = "the place is empty, and that is as it should be"},
           {.name = "watch", .value = nullptr, .help = "go on: whenever something was changed, and once a day"},
           {.name = "every", .value = "MINUTES", .help = "with --watch: no more often than this; 60 if not given"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_replicate,
      .in_guard = true,
  };
}

}  // namespace casevault
