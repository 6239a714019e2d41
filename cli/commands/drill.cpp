#include "cli/commands/drill.h"

#include "cli/json.h"
#include "vault/raid/drill.h"

namespace casevault {
namespace {

void print_timings(Invocation& call, const DrillResult& result) {
  Facts facts;
  facts.add("Keys out of memory", duration_for_people(result.keys_out_of_memory));
  for (const auto& stage : result.stages) {
    switch (stage.stage) {
      case DestroyStage::kReceived:
        facts.add("Begun on the disk", duration_for_people(stage.since_begin));
        break;
      case DestroyStage::kKeysDestroyed:
        facts.add("Keys destroyed", duration_for_people(stage.since_begin));
        break;
      case DestroyStage::kRestRemoved:
        facts.add("Rest removed", duration_for_people(stage.since_begin));
    }
  }
  facts.add("Files", std::to_string(result.files));
  facts.print(call.out());
}

void print_json(Invocation& call, const DrillResult& result) {
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const auto& stage : result.stages)
    stages.push_back({{"stage", to_string(stage.stage)}, {"microseconds", stage.since_begin.count()}});
  call.out().object({{"drill", true},
                     {"keys_out_of_memory_microseconds", result.keys_out_of_memory.count()},
                     {"stages", stages},
                     {"files", result.files},
                     {"complete", result.left_nothing}});
}

}  // namespace

int run_drill(Invocation& call) {
  const DrillResult result = rehearse_destroying(call.vault_folder(), call.process().environment);
  call.json() ? print_json(call, result) : print_timings(call, result);
  if (!result.left_nothing) {
    call.out().error("the rehearsal did not reach everything: destroying would not either");
    return static_cast<int>(Errc::kPartial);
  }
  call.out().note("a rehearsal on stand-ins beside the vault; nothing of the vault was touched");
  return 0;
}

std::string duration_for_people(std::chrono::microseconds duration) {
  const auto tenths = duration.count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
}

}  // namespace casevault
