#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapter/base_rule.h"
#include "adapter/peft_config.h"
#include "weft/adapter/base.h"

namespace weft::adapter {

namespace {

constexpr size_t kMisfitsListed = 20;

/// Everything that keeps adapters off a base, said at once.
class BaseMisfits {
 public:
  void add(const Adapter& adapter, const std::string& module, const std::string& why) {
    ++count_;
    if (lines_.size() < kMisfitsListed)
      lines_.push_back(fmt::format("{}: {}{}{}", adapter.info().name, module, module.empty() ? "" : ": ", why));
  }
  void report(const BaseWeights& base) const {
    if (count_ == 0) return;
    throw InputError(
        fmt::format("base_model {} does not fit; is it the base the adapter was trained on?\n  {}{}",
                    base.path().string(), fmt::join(lines_, "\n  "),
                    count_ > lines_.size() ? fmt::format("\n  … and {} more", count_ - lines_.size()) : ""));
  }

 private:
  std::vector<std::string> lines_;
  size_t count_ = 0;
};

/// False for inits that altered the base in ways that the base alone cannot tell.
bool base_suffices(const PeftConfig& config) {
  const std::string& init = config.init;
  const auto begins = [&](std::string_view word) { return init.starts_with(word); };
  return (!begins("pissa") || init == "pissa") && (!begins("olora") || init == "olora") && !begins("corda") &&
         !begins("lora_ga") && !begins("loftq");
}

BaseRule rule_of(const PeftConfig& config, const ModuleInfo& module) {
  BaseRule rule;
  rule.dora = module.has_magnitude;
  if (module.has_diagonal) rule.removed = Removed::kTrailing;
  // PEFT initialises embeddings the ordinary way whatever the config says.
  if (module.layer == LayerKind::kEmbedding) return rule;
  if (config.init == "pissa") rule.removed = Removed::kLeading;
  if (config.init == "olora") rule.removed = Removed::kQr;
  return rule;
}

/// Why the rule cannot be applied to such a module, or an empty text.
std::string rule_misfit(const BaseRule& rule, const ModuleInfo& module) {
  if (module.blocks > 1) return "grouped convolutions and experts cannot be put on their base";
  if (rule.removed != Removed::kNothing && module.layer != LayerKind::kLinear)
    return "only linear layers have a base that PiSSA, OLoRA or KaSA altered";
  return {};
}

/// What the decomposition of a base weight takes: copies in float64 and a few squares of the shorter side.
void note_cost(const BaseRule& rule, ModuleInfo& module) {
  if (rule.removed == Removed::kNothing) return;
  constexpr double kFlopsPerCube = 6.0;  // of a symmetric eigenproblem, measured against the merge's own loops
  const std::int64_t shorter = std::min(module.out, module.in);
  const auto side = static_cast<double>(shorter);
  module.load_memory = (2 * module.out * module.in + 4 * shorter * shorter) * 8;
  module.load_flops = (kFlopsPerCube * side + 2.0 * static_cast<double>(module.out + module.in)) * side * side;
}

Adapter put_on_base(const Adapter& adapter, const BaseWeights& base, BaseMisfits& misfits) {
  const AdapterInfo& info = adapter.info();
  if (info.needs_base.empty() || !info.refusal.empty() || !info.config.is_map()) return adapter;
  const PeftConfig config = parse_peft_config(info.config, (info.path / "adapter_config.json").string());
  if (!base_suffices(config)) return adapter;
  const Value* replication = info.config.find("layer_replication");
  if (replication != nullptr && !replication->list.empty())
    misfits.add(adapter, "", "layer_replication: its layer numbers are not the base's");
  auto contents = std::make_shared<Contents>(*adapter.data().contents);
  std::vector<BaseRule> rules;
  for (ModuleInfo& m : contents->modules) {
    const BaseRule rule = rule_of(config, m);
    rules.push_back(rule);
    if (!rule.needs_base()) continue;
    std::string why = rule_misfit(rule, m);
    if (why.empty()) why = base.misfit(m);
    if (!why.empty()) misfits.add(adapter, m.name, why);
    note_cost(rule, m);
    if (rule.removed != Removed::kNothing) m.rank += std::min(m.rank, std::min(m.out, m.in));
    m.has_magnitude = m.has_diagonal = false;
    m.has_dense = rule.dora;
  }
  auto data = std::make_shared<Adapter::Data>(adapter.data());
  data->contents = std::move(contents);
  data->info.needs_base.clear();
  data->rebase =
      std::make_shared<Rebase>(Rebase{base, std::move(rules), std::make_shared<const Adapter::Data>(adapter.data())});
  return Adapter(std::shared_ptr<const Adapter::Data>(std::move(data)));
}

}  // namespace

Adapter with_base(const Adapter& adapter, const BaseWeights& base) {
  BaseMisfits misfits;
  Adapter out = put_on_base(adapter, base, misfits);
  misfits.report(base);
  return out;
}

Pool with_base(const Pool& pool, const BaseWeights& base) {
  BaseMisfits misfits;
  std::vector<Adapter> out;
  for (const Adapter& adapter : pool.adapters()) out.push_back(put_on_base(adapter, base, misfits));
  misfits.report(base);
  return Pool(std::move(out));
}

}  // namespace weft::adapter
