#include "cli/commands/commands.h"
#include "cli/json.h"
#include "crypto/encoding.h"
#include "vault/custody/service.h"

namespace casevault {
namespace {

/// As curl's --pinnedpubkey takes it.
std::string pin_text(const ByteArray<32>& pin) { return "sha256//" + to_base64(pin); }

void print_identity(Invocation& call, const Custodian::Identity& identity) {
  if (call.json()) {
    call.out().object({{"address", identity.address},
                       {"pin", pin_text(identity.pin)},
                       {"key", to_hex(identity.key.bytes)},
                       {"name", identity.name},
                       {"place", identity.place}});
  } else {
    call.out().line("address " + identity.address);
    call.out().line("pin " + pin_text(identity.pin));
  }
  call.out().flush();
  if (identity.place.empty())
    call.out().note("no country was named: offices choose by it; start it with --place PLACE");
  call.out().next("it serves until it is stopped; in another window: casevault custodian invite --data " +
                  *call.value("data"));
}

void check_place_of_data(const std::filesystem::path& folder) {
  const auto above = std::filesystem::absolute(folder).lexically_normal().parent_path();
  if (!std::filesystem::is_directory(above))
    throw Error(Errc::kUsage, "there is no folder " + above.string() + " to put it into", "mkdir -p " + above.string());
}

int run_custodian_serve(Invocation& call) {
  check_place_of_data(*call.value("data"));
  ServiceSettings settings = {.listen = *call.value("listen"),
                              .custodian = {.name = call.value_or("name", ""),
                                            .place = call.value_or("place", ""),
                                            .address = call.value_or("address", "")},
                              .limits = {.loopback_is_many = call.has("behind-tor")}};
  serve_custodian(*call.value("data"), settings, call.process().environment,
                  [&](const Custodian::Identity& identity) { print_identity(call, identity); });
  return 0;
}

int run_custodian_invite(Invocation& call) {
  const Invitation invitation =
      make_invitation(*call.value("data"), call.value_or("address", ""), call.process().environment.now_ms());
  if (call.json()) {
    call.out().object({{"invitation", invitation.encode()},
                       {"name", invitation.custodian.name},
                       {"place", invitation.custodian.place},
                       {"address", invitation.custodian.address},
                       {"pin", pin_text(invitation.custodian.pin)}});
  } else {
    call.out().line(invitation.encode());
  }
  call.out().next("give this line to one office, over a channel that you both trust; it is good once, for 7 days");
  return 0;
}

}  // namespace

std::vector<Command> custodian_commands() {
  return {
      {.name = "custodian serve",
       .arguments = "",
       .max_arguments = 0,
       .summary = "hold shares for partner offices: the service itself",
       .description =
           "Serves offices that were invited, over HTTPS, until it is stopped (SIGTERM, Ctrl-C); everything that it "
           "answered is on the disk.\n"
           "Prints its address and the pin of its key when it listens, and logs to standard error. Makes the folder, "
           "its "
           "keys and its\n"
           "store the first time. It needs no vault, and never sees a passphrase, a name or a title.\n"
           "\n"
           "Read docs/custodian-guide.md before the first office relies on it.",
       .options = {{.name = "data", .value = "DIR", .help = "where it keeps its store and its keys", .required = true},
                   {.name = "listen",
                    .value = "HOST:PORT",
                    .help = "where connections are taken; port 0: any that is free",
                    .required = true},
                   {.name = "name", .value = "NAME", .help = "what people call it; kept for the next start"},
                   {.name = "place", .value = "PLACE", .help = "its jurisdiction, for people; kept for the next start"},
                   {.name = "address",
                    .value = "HOST:PORT",
                    .help = "how offices reach it, where that is not --listen"},
                   {.name = "behind-tor",
                    .help = "what comes from this machine comes through Tor: no limits for each address"}},
       .statuses = {Errc::kBusy, Errc::kNotAllowed, Errc::kDamaged, Errc::kNoSpace},
       .run = run_custodian_serve},
      {.name = "custodian invite",
       .arguments = "",
       .max_arguments = 0,
       .summary = "invite one office, or one machine of an office",
       .description =
           "Prints one line that enrols one vault, or one more machine of a vault, once, within 7 days. Works "
           "while the service runs.",
       .options = {{.name = "data", .value = "DIR", .help = "the folder of the service", .required = true},
                   {.name = "address", .value = "HOST:PORT", .help = "how the office reaches it, where not as served"}},
       .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kNotAllowed, Errc::kDamaged, Errc::kNoSpace},
       .run = run_custodian_invite},
  };
}

}  // namespace casevault
