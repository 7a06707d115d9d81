#include "adapter/peft_module.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "adapter/pair_shape.h"
#include "weft/core/error.h"

namespace weft::adapter {

namespace {

/// Turns a draft into a module, against one config.
class PeftBuilder {
 public:
  PeftBuilder(const PeftConfig& config, const std::string& file) : config_(config), file_(file) {}

  ModuleEntry build(const PeftDraft& draft, const std::string& parameter) const {
    check_halves(draft);
    ModuleEntry out;
    out.info.name = parameter.empty() ? draft.module : draft.module + "." + parameter;
    out.keys.a = draft.a->name;
    out.keys.b = draft.b->name;
    const std::int64_t declared = config_.rank_of(out.info.name);
    if (!parameter.empty())
      describe_expert(draft, declared, out);
    else
      describe_layer(draft, declared, out);
    out.info.alpha = config_.alpha_of(out.info.name);
    out.info.scale = config_.scale_of(out.info.alpha, out.info.rank);
    add_extras(draft, out);
    return out;
  }

 private:
  void check_halves(const PeftDraft& d) const {
    if (d.a != nullptr && d.b != nullptr) return;
    const io::TensorEntry* present = d.a != nullptr ? d.a : d.b;
    if (present == nullptr) present = d.magnitude != nullptr ? d.magnitude : d.diagonal;
    if (present == nullptr) present = d.bias;
    const char* missing = d.embedding ? (d.a != nullptr ? "lora_embedding_B" : "lora_embedding_A")
                                      : (d.a != nullptr ? "lora_B.weight" : "lora_A.weight");
    throw InputError(fmt::format("{}: module '{}' has tensor '{}' but no {}; the file is incomplete", file_, d.module,
                                 present->name, missing));
  }

  void check_rank(const io::TensorEntry& a, std::int64_t rank, std::int64_t declared) const {
    if (rank != declared)
      throw InputError(fmt::format("{}: tensor '{}' {} has rank {}, but {} says r = {} for this module", file_, a.name,
                                   shape_text(a.shape), rank, config_.file, declared));
  }

  void describe_layer(const PeftDraft& d, std::int64_t declared, ModuleEntry& out) const {
    if (config_.bdlora && !d.embedding && describe_blocks(d, out)) {
      check_rank(*d.a, out.info.rank, declared);
      return;
    }
    describe_pair(*d.a, *d.b, file_, out.info);
    check_rank(*d.a, out.info.rank, declared);
    if (d.embedding) {
      if (out.info.layer != LayerKind::kLinear)
        throw InputError(fmt::format("{}: tensor '{}' {}: an embedding's factors have 2 dimensions", file_, d.a->name,
                                     shape_text(d.a->shape)));
      out.info.layer = LayerKind::kEmbedding;
      out.keys.layout = Layout::kEmbedding;
    } else if (config_.qalora) {
      if (out.info.layer != LayerKind::kLinear || out.info.in > (std::int64_t{1} << 40) / config_.group_size)
        throw InputError(fmt::format("{}: tensor '{}' {} cannot be a QALoRA factor of groups of {}", file_, d.a->name,
                                     shape_text(d.a->shape), config_.group_size));
      out.keys.layout = Layout::kQaLora;
      out.keys.group_size = config_.group_size;
      out.info.in *= config_.group_size;
    }
  }

  /// BD-LoRA: the shape of the full factors; false when the module is an ordinary one.
  bool describe_blocks(const PeftDraft& d, ModuleEntry& out) const {
    const auto named = [&](const std::vector<std::string>& names) {
      return std::any_of(names.begin(), names.end(),
                         [&](const std::string& n) { return d.module.find(n) != std::string::npos; });
    };
    const bool on_a = named(config_.bd.a_names), on_b = named(config_.bd.b_names);
    if (!on_a && !on_b) return false;
    if (on_a && on_b)
      throw InputError(fmt::format("{}: module '{}' matches both target_modules_bd_a and target_modules_bd_b",
                                   config_.file, d.module));
    const std::int64_t n = config_.bd.blocks;
    io::TensorEntry a = *d.a, b = *d.b;
    io::TensorEntry& small = on_a ? a : b;
    if (small.shape.size() != 2 || small.shape[0] % n != 0 || small.shape[1] > (std::int64_t{1} << 40) / n)
      throw InputError(fmt::format("{}: tensor '{}' {} cannot be {} blocks stacked in rows", file_, small.name,
                                   shape_text(small.shape), n));
    small.shape[1] *= n;
    describe_pair(a, b, file_, out.info);
    out.info.parameters = d.a->numel() + d.b->numel();
    out.keys.layout = Layout::kBdLora;
    (on_a ? out.keys.a_blocks : out.keys.b_blocks) = n;
    return true;
  }

  void describe_expert(const PeftDraft& d, std::int64_t declared, ModuleEntry& out) const {
    describe_pair(*d.a, *d.b, file_, out.info);
    const std::int64_t rows = d.a->shape[0];
    if (out.info.layer != LayerKind::kLinear || d.embedding || rows % declared != 0)
      throw InputError(fmt::format("{}: tensor '{}' {} should have experts x {} rows ({} says r = {})", file_,
                                   d.a->name, shape_text(d.a->shape), declared, config_.file, declared));
    out.info.layer = LayerKind::kParameter;
    out.info.blocks = rows / declared;
    out.info.rank = declared;
    out.keys.layout = Layout::kExperts;
    out.keys.depth = d.depth;
  }

  /// Attaches an optional tensor after checking how many numbers it holds.
  void attach(const io::TensorEntry* entry, std::int64_t size, std::string& key, bool& flag, ModuleInfo& info) const {
    if (entry == nullptr) return;
    check_entry(*entry, file_);
    if (entry->numel() != size)
      throw InputError(fmt::format("{}: tensor '{}' {} should hold {} numbers for module '{}'", file_, entry->name,
                                   shape_text(entry->shape), size, info.name));
    key = entry->name;
    flag = true;
    info.parameters += size;
  }

  void add_extras(const PeftDraft& d, ModuleEntry& out) const {
    ModuleInfo& m = out.info;
    attach(d.bias, m.out, out.keys.bias, m.has_bias, m);
    attach(d.magnitude, m.out, out.keys.magnitude, m.has_magnitude, m);
    attach(d.diagonal, m.rank, out.keys.diagonal, m.has_diagonal, m);
    const bool ordinary = m.layer != LayerKind::kParameter;
    check_switch(m.has_magnitude, config_.dora && ordinary, "use_dora", "lora_magnitude_vector", m);
    check_switch(m.has_bias, config_.lora_bias && m.layer != LayerKind::kEmbedding && ordinary, "lora_bias",
                 "lora_B.bias", m);
    check_switch(m.has_diagonal, config_.kasa && ordinary, "kasa_config", "lora_diag", m);
  }

  void check_switch(bool stored, bool declared, const char* option, const char* tensor, const ModuleInfo& m) const {
    if (stored == declared) return;
    throw InputError(fmt::format("{}: module '{}' has {} {}, but {} {} {}", file_, m.name, stored ? "a" : "no", tensor,
                                 config_.file, declared ? "sets" : "does not set", option));
  }

  const PeftConfig& config_;
  const std::string& file_;
};

}  // namespace

ModuleEntry build_peft_module(const PeftDraft& draft, const std::string& parameter, const PeftConfig& config,
                              const std::string& file) {
  return PeftBuilder(config, file).build(draft, parameter);
}

}  // namespace weft::adapter
