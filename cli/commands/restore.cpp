#include "vault/replica/restore.h"

#include <algorithm>

#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/rclone.h"
#include "cli/session.h"
#include "vault/access/case_access.h"
#include "vault/records/export_folder.h"
#include "vault/replica/known.h"
#include "vault/replica/layout.h"
#include "vault/verify.h"

namespace casevault {
namespace {

constexpr int kDamagedStatus = static_cast<int>(Errc::kDamaged);

/// What must be fetched from other custodians' machines, or by another machine, before it opens.
bool is_custodians_affair(const Vault& vault, Errc code) {
  if (vault.header().custody.empty()) return false;
  return code == Errc::kTooFewCustodians || code == Errc::kCustodiansRefused || code == Errc::kNotAllowed;
}

constexpr int kPassphraseTries = 3;

class Restoring {
 public:
  explicit Restoring(Invocation& call)
      : call_(call),
        environment_(call.process().environment),
        rclone_(rclone_settings(call.process())),
        request_(replica_source(call, call.argument(0))),
        folder_(call.vault_folder()),
        place_(place_to_rebuild(folder_)) {
    environment_.accepts_older = request_.older;
    if (const auto text = call.value("case")) case_ = case_argument(*text);
  }

  int run() {
    refuse_bad_source();
    if (is_absent_partly(folder_) && !case_) return complete();
    require_nothing_there();
    const auto lock = lock_rebuilding(place_);
    try {
      return rebuild();
    } catch (const Error& error) {
      throw Error(error.code(), error.what(), with_what_is_left(error));
    }
  }

 private:
  RestoreProgress progress(const char* what) {
    return [this, what](std::uint64_t done, std::uint64_t total) { call_.out().progress(what, done, total); };
  }

  void refuse_bad_source() const {
    refuse_likely_remote(request_.source);
    if (is_remote(request_.source)) return;
    const Path source = request_.source;
    if (!std::filesystem::exists(source / "snapshots") && !std::filesystem::exists(source / "vault.json")) return;
    try {
      refuse_inside_vault(source, folder_, {});
    } catch (const Error&) {
      throw Error(Errc::kUsage, folder_.string() + " is inside the copy that is to be restored",
                  "choose another place with --vault DIR");
    }
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

  /// The hint of an error that ends it, with what becomes of what was fetched.
  std::string with_what_is_left(const Error& error) const {
    auto hint = error.hint();
    const auto add = [&](const std::string& sentence) { hint += (hint.empty() ? "" : "; ") + sentence; };
    if (!rebuilt_.namesakes.empty() && error.code() != Errc::kInterrupted) add(say_namesakes());
    if (error.code() == Errc::kNoSpace && hint.empty()) add("free some space, or choose another disk with --vault DIR");
    if (!is_worth_keeping(place_)) {
      remove_rebuilding(place_);
      if (error.code() == Errc::kInterrupted) add("nothing was left behind; type it again");
      return hint;
    }
    add("the large files that were fetched are kept in " + place_.string() +
        ": type the command again and it goes on, or delete that folder");
    return hint;
  }

  /// Somebody may have added them: then another is the true one.
  std::string say_namesakes() const {
    std::string text = "there are others of that number: ";
    for (const auto& name : rebuilt_.namesakes) {
      const auto file = Path(name).stem().string();
      text += (name == rebuilt_.namesakes.front() ? "" : ", ") + std::string("--snapshot ") + file;
    }
    return text;
  }

  int rebuild() {
    request_.leave_bodies = true;  // until it is known that the passphrase opens it
    rebuilt_ = rebuild_vault(request_, place_, rclone_, environment_, progress("restoring"));
    call_.out().end_progress();
    for (const auto& warning : rebuilt_.warnings) call_.out().warning(warning);
    if (!rebuilt_.opens()) return refuse(rebuilt_.findings);
    auto vault = Vault::open(place_, environment_);
    try {
      return check_and_publish(vault);
    } catch (const Error& error) {
      if (!is_custodians_affair(vault, error.code()) || case_) throw;
      return publish_unopened(error);
    }
  }

  std::string command_line(const std::string& options) const {
    std::string line = "casevault restore " + shell_word(request_.source) + options;
    if (case_) line += " --case " + case_name(*case_);
    return line + " --vault " + shell_word(folder_.string()) + " --user " + shell_word(call_.user());
  }
  std::string chosen_snapshot() const {
    return (request_.snapshot ? " --snapshot " + *call_.value("snapshot") : std::string()) +
           (request_.older ? " --older" : "");
  }

  int refuse(const std::vector<Finding>& findings) {
    print_findings(call_, findings);
    const auto from = rebuilt_.snapshot ? " from " + rebuilt_.snapshot->name : std::string();
    call_.out().error("nothing was restored" + from + ": what is named above is missing or damaged");
    if (rebuilt_.snapshot) say_what_may_help();
    if (is_worth_keeping(place_)) {
      call_.out().hint("what was fetched and is whole is kept for the next try, in " + place_.string());
    } else {
      remove_rebuilding(place_);
    }
    return kDamagedStatus;
  }

  void say_what_may_help() {
    if (can_go_on_damaged_) call_.out().hint("take what is whole: " + command_line(" --damaged" + chosen_snapshot()));
    call_.out().hint("if the vault still exists, mend the replica: casevault replicate " + shell_word(request_.source) +
                     " --check --vault VAULT");
    std::string numbers;
    for (const auto number : rebuilt_.numbers) numbers += (numbers.empty() ? "" : ", ") + std::to_string(number);
    call_.out().hint("snapshots here: " + numbers);
    if (!rebuilt_.namesakes.empty()) call_.out().hint(say_namesakes());
    const auto other = older_without_harm(rebuilt_, request_, place_, rclone_, environment_);
    if (!other) return;
    call_.out().hint("snapshot " + std::to_string(*other) + " needs nothing of what is named above: " +
                     command_line(" --snapshot " + std::to_string(*other) + " --older"));
  }

  Session unlock(Vault& vault) {
    const auto user = call_.user();
    for (int tries = 1;; ++tries) {
      try {
        return vault.unlock(user, current_passphrase(call_, "Passphrase of " + user));
      } catch (const Error& error) {
        const bool is_typed = !call_.has("passphrase-file");
        if (error.code() != Errc::kWrongPassphrase || !is_typed || tries == kPassphraseTries) throw;
        call_.out().warning(std::string(error.what()) + "; once more");
      }
    }
  }

  int check_and_publish(Vault& vault) {
    VerifyResult result;
    std::vector<Finding> findings;
    {
      Session session = unlock(vault);
      for (const auto& warning : session.warnings()) call_.out().warning(warning);
      if (const auto forged = check_signature(session, rebuilt_)) return refuse({*forged});
      can_go_on_damaged_ = true;
      findings = fetch_large_files(session);
      name_harm(session, findings);
      if (!findings.empty() && !call_.has("damaged")) return refuse(findings);
      renew_lost_spare(session, rebuilt_);
      result = verify_vault(session, false, progress("verifying"));
      call_.out().end_progress();
      add_new(findings, result.findings);
    }
    if (!findings.empty() && !call_.has("damaged")) return refuse(findings);
    publish();
    if (!findings.empty()) return finish_damaged(findings, result);
    print_done(result, 0);
    return 0;
  }

  /// Of what was found before, `verify` says the same in other words.
  static void add_new(std::vector<Finding>& findings, const std::vector<Finding>& verified) {
    const auto file_of = [](const Finding& finding) { return finding.object.substr(0, finding.object.find(' ')); };
    const auto before = findings;
    for (const auto& finding : verified) {
      if (finding.weight != Finding::Weight::kBad) continue;
      if (std::ranges::find(before, file_of(finding), file_of) == before.end()) findings.push_back(finding);
    }
  }

  std::vector<Finding> fetch_large_files(Session& session) {
    auto findings = rebuilt_.findings;
    std::optional<std::vector<std::string>> names;
    if (case_) names = bodies_of_case(session, *case_);
    auto more =
        fetch_bodies(rebuilt_, names, request_, place_, rclone_, environment_, progress("restoring large files"));
    call_.out().end_progress();
    std::ranges::move(more, std::back_inserter(findings));
    return findings;
  }

  std::vector<std::string> bodies_of_case(Session& session, std::int64_t number) {
    if (!rebuilt_.snapshot) throw Error(Errc::kUsage, "--case takes a replica, not the folder of a vault");
    session.record("restore", case_name(number), "begun");
    try {
      const auto open = open_case(session, number, Right::kRead, "restore", case_name(number));
      mark_absent(place_, *rebuilt_.snapshot);
      return open.store.body_names();
    } catch (const Error& error) {
      if (error.code() != Errc::kNotFound) throw;
      throw Error(error.code(), error.what(),
                  "leave --case away: then everything is restored, and casevault case list shows the cases");
    }
  }

  void publish() {
    publish_rebuilt(place_, folder_);
    if (rebuilt_.snapshot) remember_snapshot(environment_, rebuilt_.snapshot->manifest, request_.older);
  }

  int finish_damaged(const std::vector<Finding>& findings, const VerifyResult& result) {
    print_findings(call_, findings);
    print_done(result, findings.size());
    call_.out().error("the vault is in its place, without what is named above");
    call_.out().hint("another copy may have it: a file of bodies/ can be copied to the same name in " +
                     (folder_ / "bodies").string() + "; then casevault verify");
    return kDamagedStatus;
  }

  void print_done(const VerifyResult& result, std::size_t damages) {
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
                          {"checked", true},
                          {"damages", damages}});
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
    call_.out().note(
        "everything is as it was in the copy: remove again who was removed since, withdraw again what was withdrawn");
    call_.out().note("never work in two copies of one vault, and go on replicating this one");
  }

  bool is_under_custody() const { return !Vault::open(folder_, environment_).header().custody.empty(); }

  /// Under custody a new machine opens nothing before it is let in.
  int publish_unopened(const Error& error) {
    auto findings = rebuilt_.findings;
    auto more = fetch_bodies(rebuilt_, std::nullopt, request_, place_, rclone_, environment_, progress("restoring"));
    call_.out().end_progress();
    std::ranges::move(more, std::back_inserter(findings));
    const auto is_spare = [](const std::string& name) { return name.starts_with("spare/"); };
    can_go_on_damaged_ = std::ranges::none_of(rebuilt_.lost, is_spare);  // a new one takes an unlocked vault
    if (!findings.empty() && (!can_go_on_damaged_ || !call_.has("damaged"))) return refuse(findings);
    publish_rebuilt(place_, folder_);
    print_findings(call_, findings);
    if (call_.json()) {
      call_.out().object({{"snapshot", rebuilt_.snapshot ? rebuilt_.snapshot->number : 0},
                          {"time", rebuilt_.snapshot ? iso_time(rebuilt_.snapshot->manifest.time_ms) : ""},
                          {"size", rebuilt_.bytes},
                          {"whole", findings.empty()},
                          {"checked", false},
                          {"damages", findings.size()}});
    } else {
      call_.out().line((findings.empty() ? "every file is as the snapshot names it"
                                         : "every file but those named above is as the snapshot names it") +
                       std::string("; signatures are not checked yet, for the vault does not open: ") + error.what());
    }
    call_.out().hint(
        "let this machine in, under a name of its own: casevault custody enroll-device --name NAME --vault " +
        shell_word(folder_.string()));
    call_.out().hint("then check the rest: casevault verify --vault " + shell_word(folder_.string()));
    return findings.empty() ? static_cast<int>(Errc::kPartial) : kDamagedStatus;
  }

  int complete() {
    const auto lock = lock_rebuilding(place_);
    VerifyResult result;
    std::vector<Finding> findings;
    {
      auto vault = Vault::open(folder_, environment_);
      Session session = unlock(vault);
      rebuilt_ = complete_vault(request_, folder_, rclone_, environment_, progress("restoring"));
      call_.out().end_progress();
      remove_rebuilding(place_);
      findings = rebuilt_.findings;
      name_harm(session, findings);
      if (!findings.empty() && !call_.has("damaged")) {
        print_findings(call_, findings);
        call_.out().error("some large files are still absent: what is named above is missing or damaged");
        call_.out().hint("go on without them: " + command_line(" --damaged"));
        return kDamagedStatus;
      }
      if (const auto forged = check_signature(session, rebuilt_)) return print_findings(call_, {*forged});
      unmark_absent(folder_);
      result = verify_vault(session, false, progress("verifying"));
      call_.out().end_progress();
      add_new(findings, result.findings);
    }
    if (!findings.empty()) return finish_damaged(findings, result);
    print_done(result, 0);
    return 0;
  }

  Invocation& call_;
  Environment environment_;
  RcloneSettings rclone_;
  RestoreRequest request_;
  Path folder_;
  Path place_;
  std::optional<std::int64_t> case_;
  Rebuilt rebuilt_;
  bool can_go_on_damaged_ = false;  // it opens, and is genuine as far as can be seen
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
          "verify checks. What is missing or changed is named (status 15), and nothing is restored, unless "
          "--damaged takes\n"
          "what is whole. Interrupted, repeat it.\n"
          "\n"
          "A snapshot older than the newest one there, than this machine or the custodians know of, takes --older. "
          "Under custody a\n"
          "new machine has to be let in first; the vault is then in its place, checked as far as that goes without "
          "(status 3).",
      .options = {{.name = "case",
                   .value = "CASE",
                   .help = "fetch the large files of this case only; repeated without it, the rest"},
                  {.name = "snapshot",
                   .value = "N",
                   .help = "this one instead of the newest; of several, the name of its file"},
                  {.name = "older", .value = nullptr, .help = "an older one will do"},
                  {.name = "damaged",
                   .value = nullptr,
                   .help = "take what is whole; what is not is named (status 15)"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kNotFound, Errc::kDamaged, Errc::kTooFewCustodians, Errc::kDestroyed, Errc::kNoSpace,
                   Errc::kInterrupted},
      .run = run_restore,
  };
}

}  // namespace casevault
