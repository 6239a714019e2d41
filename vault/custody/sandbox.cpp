#include "vault/custody/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace casevault {
namespace {

// Landlock, as <linux/landlock.h> of newer kernels than the one this is built on has it.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};
constexpr int kRulePathBeneath = 1;
constexpr unsigned kAskVersion = 1;
constexpr long kCreateRuleset = 444;  // the numbers of these three are the same on every architecture
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;

constexpr std::uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3, kRemoveFolder = 1 << 4,
                        kRemoveFile = 1 << 5, kMakeFolder = 1 << 7, kMakeFile = 1 << 8, kTruncate = 1 << 14;
constexpr std::uint64_t kAllOfVersion1 = (1 << 13) - 1, kRefer = 1 << 13, kDeviceIoctl = 1 << 15;
constexpr std::uint64_t kBindAndConnectTcp = 3;
constexpr std::uint64_t kAbstractSocketsAndSignals = 3;

RulesetAttributes handled_by(long version) {
  RulesetAttributes handled = {.handled_access_fs = kAllOfVersion1, .handled_access_net = 0, .scoped = 0};
  if (version >= 2) handled.handled_access_fs |= kRefer;
  if (version >= 3) handled.handled_access_fs |= kTruncate;
  if (version >= 4) handled.handled_access_net = kBindAndConnectTcp;
  if (version >= 5) handled.handled_access_fs |= kDeviceIoctl;
  if (version >= 6) handled.scoped = kAbstractSocketsAndSignals;
  return handled;
}

/// How much of the attributes a kernel of that version knows; more would be refused.
std::size_t known_size(long version) {
  if (version >= 6) return sizeof(RulesetAttributes);
  return version >= 4 ? offsetof(RulesetAttributes, scoped) : offsetof(RulesetAttributes, handled_access_net);
}

void allow_below(int ruleset, const Path& path, std::uint64_t access) {
  const int descriptor = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  require(descriptor >= 0, "landlock: a path cannot be opened");
  const PathBeneath rule = {.allowed_access = access, .parent_fd = descriptor};
  const long added = syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0);
  close(descriptor);
  require(added == 0, "landlock: a rule was refused");
}

void restrict_files(const Path& data) {
  const long version = syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  if (version < 1) return;  // not in this kernel, or switched off
  const RulesetAttributes handled = handled_by(version);
  const int ruleset = static_cast<int>(syscall(kCreateRuleset, &handled, known_size(version), 0));
  require(ruleset >= 0, "landlock: no ruleset can be made");
  constexpr std::uint64_t kWork =
      kWriteFile | kReadFile | kReadFolder | kRemoveFolder | kRemoveFile | kMakeFolder | kMakeFile | kTruncate;
  allow_below(ruleset, data, kWork & handled.handled_access_fs);
  allow_below(ruleset, "/dev/urandom", kReadFile);  // SQLite seeds itself from it
  const long restricted = syscall(kRestrictSelf, ruleset, 0);
  close(ruleset);
  require(restricted == 0, "landlock: the ruleset was refused");
}

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kForeignCalls = 0x40000000;  // from here on: the x32 ABI, which reaches the same calls
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kForeignCalls = 0xffffffff;
#else
constexpr std::uint32_t kArchitecture = 0;  // no filter: Landlock and systemd's unit remain
constexpr std::uint32_t kForeignCalls = 0;
#endif

// What a service that already listens never calls, and what one that was taken over would want to.
constexpr long kDenied[] = {
    SYS_execve,
    SYS_execveat,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
#if defined(SYS_fork)
    SYS_fork,
    SYS_vfork,
    SYS_mknod,
#endif
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_pidfd_send_signal,
    SYS_mknodat,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_unshare,
    SYS_setns,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_capset,
    SYS_memfd_create,
    SYS_clock_settime,
    SYS_settimeofday,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
};

constexpr std::uint32_t refuse_with(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }

/// Classic BPF (Documentation/userspace-api/seccomp_filter.rst).
std::vector<sock_filter> filter() {
  std::vector<sock_filter> program;
  const auto load = [&](std::size_t offset) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  };
  const auto answer = [&](std::uint32_t value) { program.push_back(BPF_STMT(BPF_RET | BPF_K, value)); };
  const auto skip_unless = [&](std::uint16_t test, std::uint32_t value, std::uint8_t skipped) {
    program.push_back(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), value, 0, skipped));
  };
  load(offsetof(seccomp_data, arch));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  answer(SECCOMP_RET_KILL_PROCESS);
  load(offsetof(seccomp_data, nr));
  skip_unless(BPF_JGE, kForeignCalls, 1);
  answer(refuse_with(EPERM));
  for (const long call : kDenied) {
    skip_unless(BPF_JEQ, static_cast<std::uint32_t>(call), 1);
    answer(refuse_with(EPERM));
  }
  skip_unless(BPF_JEQ, SYS_clone3, 1);
  answer(refuse_with(ENOSYS));  // its flags are out of sight; the C library then takes clone
  skip_unless(BPF_JEQ, SYS_clone, 3);
  load(offsetof(seccomp_data, args));  // the lower half: little-endian
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
  answer(refuse_with(EPERM));
  answer(SECCOMP_RET_ALLOW);
  return program;
}

void restrict_calls() {
  if (kArchitecture == 0 || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) return;
  std::vector<sock_filter> program = filter();
  const sock_fprog all = {.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0, "seccomp: the filter was refused");
}

constexpr bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer);
#else
  return false;
#endif
}

}  // namespace

void enter_sandbox(const Path& data) {
  // Sanitizers start processes and read /proc to report what they found.
  if (is_sanitized()) return;
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "this process cannot give up gaining privileges");
  restrict_files(data);
  restrict_calls();
}

}  // namespace casevault
