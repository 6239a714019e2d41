#include "vault/replica/restore.h"

#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/rclone.h"
#include "cli/session.h"
#include "vault/access/case_access.h"
#include "vault/replica/known.h"

namespace casevault {
namespace {

constexpr int kDamagedStatus = static_cast<int>(Errc::kDamaged);

RestoreRequest request_of(Invocation& call) {
  RestoreRequest request{.source = call.argument(0), .older = call.has("older"), .leave_bodies = call.has("case")};
  if (const auto text = call.value("snapshot")) {
    request.snapshot = parse_number(*text);
    if (!request.snapshot) throw Error(Errc::kUsage, "--snapshot takes a number", help_hint(call.command()));
  }
  return request;
}

/// What must be fetched from other custodians' machines, or by another machine, before it opens.
bool is_custodians_affair(const Vault& vault, Errc code) {
  if (vault.header().custody.empty()) return false;
  return code == Errc::kTooFewCustodians || code == Errc::kCustodiansRefused || code == Errc::kNotAllowed;
}

class Restoring {
 public:
  explicit Restoring(Invocation& call)
      : call_(call),
        environment_(call.process().environment),
        rclone_(rclone_settings(call.process())),
        request_(request_of(call)),
        folder_(call.vault_folder()),
        place_(place_to_rebuild(folder_)) {
    environment_.accepts_older = request_.older;
  }

  int run() {
    if (is_absent_partly(folder_) && !call_.has("case")) return complete();
    require_nothing_there();
    const auto lock = lock_rebuilding(place_);
    rebuilt_ = rebuild_vault(request_, place_, rclone_, environment_, progress("restoring"));
    call_.out().end_progress();
    for (const auto& warning : rebuilt_.warnings) call_.out().warning(warning);
    if (!rebuilt_.findings.empty()) return refuse(rebuilt_.findings);
    auto vault = Vault::open(place_, environment_);
    try {
      return check_and_publish(vault);
    } catch (const Error& error) {
      if (!is_custodians_affair(vault, error.code()) || call_.has("case")) throw;
      return publish_unopened(error);
    }
  }

 private:
  RestoreProgress progress(const char* what) {
    return [this, what](std::uint64_t done, std::uint64_t total) { call_.out().progress(what, done, total); };
  }

  void require_nothing_there() const {
    if (std::filesystem::exists(std::filesystem::symlink_status(folder_))) {
      throw Error(Errc::kUsage, "something is there already: " + folder_.string(),
                  "choose another place for the restored vault: --vault DIR");
    }
    const auto parent = place_.parent_path();
    if (!std::filesystem::is_directory(parent)) {
      throw Error(Errc::kUsage, "the folder that the vault is to lie in does not exist: " + parent.string(),
                  "make it first: mkdir -p " + shell_word(parent.string()));
    }
  }

  int refuse(const std::vector<Finding>& findings) {
    print_findings(call_, findings);
    const auto from = rebuilt_.snapshot ? " from " + rebuilt_.snapshot->name : std::string();
    call_.out().error("nothing was restored" + from + ": what is named above is missing or damaged");
    call_.out().hint("what was fetched and is whole is kept for the next try, in " + place_.string());
    return kDamagedStatus;
  }

  Session unlock(Vault& vault) {
    const auto user = call_.user();
    return vault.unlock(user, current_passphrase(call_, "Passphrase of " + user));
  }

  int check_and_publish(Vault& vault) {
    VerifyResult result;
    {
      Session session = unlock(vault);
      for (const auto& warning : session.warnings()) call_.out().warning(warning);
      if (const auto wanted = call_.value("case")) {
        if (!fetch_case(session, case_argument(*wanted))) return kDamagedStatus;
      }
      result = check_restored(session, rebuilt_, progress("verifying"));
      call_.out().end_progress();
    }
    if (!result.clean()) return refuse(result.findings);
    publish_rebuilt(place_, folder_);
    if (rebuilt_.snapshot) remember_snapshot(environment_, rebuilt_.snapshot->manifest, request_.older);
    print_done(result);
    return 0;
  }

  bool fetch_case(Session& session, std::int64_t number) {
    if (!rebuilt_.snapshot) throw Error(Errc::kUsage, "--case takes a replica, not the folder of a vault");
    session.record("restore", case_name(number), "begun");
    const auto open = open_case(session, number, Right::kRead, "restore", case_name(number));
    mark_absent(place_, *rebuilt_.snapshot);
    const auto names = open.store.body_names();
    const auto findings = fetch_bodies(rebuilt_, {names.begin(), names.end()}, request_, place_, rclone_, environment_,
                                       progress("restoring"));
    call_.out().end_progress();
    if (findings.empty()) return true;
    refuse(findings);
    return false;
  }

  void print_done(const VerifyResult& result) {
    const auto number = rebuilt_.snapshot ? rebuilt_.snapshot->number : 0;
    const auto time = rebuilt_.snapshot ? rebuilt_.snapshot->manifest.time_ms : 0;
    if (call_.json()) {
      call_.out().object({{"snapshot", number},
                          {"time", iso_time_or_empty(time)},
                          {"size", rebuilt_.bytes},
                          {"versions", result.versions_checked},
                          {"bodies", result.bodies_checked},
                          {"audit_entries", result.audit_entries},
                          {"whole", !is_absent_partly(folder_)},
                          {"checked", true}});
    } else {
      call_.out().line(
          "restored" +
          (number == 0 ? std::string() : " snapshot " + std::to_string(number) + " of " + time_for_people(time)) +
          " to " + folder_.string() + ": " + count_of(result.cases_checked, "case", "cases") + ", " +
          count_of(result.versions_checked, "version", "versions") + " of records checked");
    }
    if (number != 0 && (request_.older || !is_under_custody())) {
      call_.out().note("whether a newer snapshot was taken away from there, nobody here can tell; this one is of " +
                       time_for_people(time));
    }
    if (is_absent_partly(folder_)) {
      call_.out().note("the large files of other cases are absent; everything else is there");
      call_.out().next("fetch them: casevault restore " + shell_word(request_.source) + " --vault " +
                       shell_word(folder_.string()));
    } else if (is_under_custody()) {
      call_.out().next("an owner goes on with it for everybody: casevault custody accept --vault " +
                       shell_word(folder_.string()));
    } else {
      call_.out().next("casevault status --vault " + shell_word(folder_.string()));
    }
  }

  bool is_under_custody() const { return !Vault::open(folder_, environment_).header().custody.empty(); }

  /// Under custody a new machine opens nothing before it is let in.
  int publish_unopened(const Error& error) {
    publish_rebuilt(place_, folder_);
    if (call_.json()) {
      call_.out().object({{"snapshot", rebuilt_.snapshot ? rebuilt_.snapshot->number : 0},
                          {"time", rebuilt_.snapshot ? iso_time(rebuilt_.snapshot->manifest.time_ms) : ""},
                          {"size", rebuilt_.bytes},
                          {"whole", true},
                          {"checked", false}});
    } else {
      call_.out().line(
          "every file is as the snapshot names it; signatures are not checked yet, for the vault does not "
          "open: " +
          std::string(error.what()));
    }
    call_.out().hint(
        "let this machine in, under a name of its own: casevault custody enroll-device --name NAME --vault " +
        shell_word(folder_.string()));
    call_.out().hint("then check the rest: casevault verify --vault " + shell_word(folder_.string()));
    return static_cast<int>(Errc::kPartial);
  }

  int complete() {
    const auto lock = lock_rebuilding(place_);
    rebuilt_ = complete_vault(request_, folder_, rclone_, environment_, progress("restoring"));
    call_.out().end_progress();
    std::error_code ignored;
    std::filesystem::remove(place_, ignored);
    if (!rebuilt_.findings.empty()) {
      print_findings(call_, rebuilt_.findings);
      call_.out().error("some large files are still absent: what is named above is missing or damaged");
      return kDamagedStatus;
    }
    auto vault = Vault::open(folder_, environment_);
    VerifyResult result;
    {
      Session session = unlock(vault);
      unmark_absent(folder_);
      result = check_restored(session, rebuilt_, progress("verifying"));
      call_.out().end_progress();
    }
    if (!result.clean()) return print_findings(call_, result.findings);
    print_done(result);
    return 0;
  }

  Invocation& call_;
  Environment environment_;
  RcloneSettings rclone_;
  RestoreRequest request_;
  Path folder_;
  Path place_;
  Rebuilt rebuilt_;
};

int run_restore(Invocation& call) { return Restoring(call).run(); }

}  // namespace

Command restore_command() {
  return {
      .name = "restore",
      .arguments = "SOURCE",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "bring a vault back from a replica",
      .description =
          "Makes a new vault at --vault from a replica: a folder, or rclone:REMOTE:PATH. (Or from the folder of a "
          "vault, copied as it\n"
          "is.) Everything is checked before it says done: every object's hash, the snapshot's signature, and all that "
          "casevault\n"
          "verify checks. What is missing or changed is named (status 15), and nothing is restored. Interrupted, "
          "repeat it.\n"
          "\n"
          "A snapshot older than the newest one there, than this machine or the custodians know of, takes --older. "
          "Under custody a\n"
          "new machine has to be let in first; the vault is then in its place, checked as far as that goes without "
          "(status 3).",
      .options = {{.name = "case",
                   .value = "CASE",
                   .help = "fetch the large files of this case only; repeated without it, the rest"},
                  {.name = "snapshot", .value = "N", .help = "this one instead of the newest"},
                  {.name = "older", .value = nullptr, .help = "an older one will do"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kNotFound, Errc::kDamaged, Errc::kTooFewCustodians, Errc::kDestroyed, Errc::kNoSpace,
                   Errc::kInterrupted},
      .run = run_restore,
  };
}

}  // namespace casevault
