#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "tests/support/temp_folder.h"
#include "vault/custody/service.h"

namespace casevault::test {

inline std::int64_t real_now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// The real service, as a process of its own on a port of its own, with a store in a folder of its own. Killed on
/// destruction.
class CustodianProcess {
 public:
  explicit CustodianProcess(std::string name, std::string place = "")
      : name_(std::move(name)), place_(std::move(place)) {
    start("127.0.0.1:0");
  }
  ~CustodianProcess() { kill(); }
  CustodianProcess(const CustodianProcess&) = delete;
  CustodianProcess& operator=(const CustodianProcess&) = delete;

  Invitation invite() const { return make_invitation(data(), "", real_now_ms()); }
  /// As if the power were cut.
  void kill() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  /// At the same address.
  void start() { start(address_); }

 private:
  Path data() const { return folder_ / "data"; }

  void start(const std::string& listen) {
    int ready[2] = {};
    if (::pipe2(ready, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    child_ = ::fork();
    if (child_ == 0) serve(listen, ready[1]);
    ::close(ready[1]);
    address_.clear();
    for (char c = 0; ::read(ready[0], &c, 1) == 1 && c != '\n';) address_ += c;
    ::close(ready[0]);
    if (address_.empty()) throw std::runtime_error("the custodian did not start: see its log in the test's output");
  }

  [[noreturn]] void serve(const std::string& listen, int ready) const {
    Environment environment{real_now_ms, [] { return false; }, "custodian", {}, {}, {}, {}};
    const ServiceSettings settings{.listen = listen, .custodian = {name_, place_, ""}, .limits = {}};
    try {
      if (std::freopen((folder_ / "log").c_str(), "a", stderr) == nullptr) ::_exit(2);
      serve_custodian(data(), settings, environment, [&](const Custodian::Identity& identity) {
        const auto line = identity.address + "\n";
        if (::write(ready, line.data(), line.size()) < 0) ::_exit(2);
        ::close(ready);
      });
    } catch (const std::exception& error) {
      std::fprintf(stdout, "custodian: %s\n", error.what());
      std::fflush(stdout);
      ::_exit(1);
    }
    ::_exit(0);
  }

  TempFolder folder_;
  std::string name_;
  std::string place_;
  std::string address_;
  pid_t child_ = -1;
};

}  // namespace casevault::test
