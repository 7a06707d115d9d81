#include "adapter/peft_keys.h"

#include <fmt/format.h>

#include "weft/core/error.h"

namespace weft::adapter {

namespace {

constexpr std::string_view kBaseLayer = ".base_layer";
// Longer than any module path; keeps the work on hostile names small.
constexpr size_t kLongestKey = 4096;

std::string_view without_prefix(std::string_view key) {
  for (const std::string_view prefix : {"module.", "base_model.model.", "base_model."})
    if (key.substr(0, prefix.size()) == prefix) {
      key.remove_prefix(prefix.size());
      if (prefix != "module.") break;
    }
  return key;
}

bool take_end(std::string_view& text, std::string_view end) {
  if (text.size() < end.size() || text.substr(text.size() - end.size()) != end) return false;
  text.remove_suffix(end.size());
  return true;
}

/// The path without `base_layer` parts.
std::string without_base_layer(std::string_view path) {
  std::string out(path);
  for (size_t at = 0; (at = out.find(kBaseLayer, at)) != std::string::npos;) {
    const size_t end = at + kBaseLayer.size();
    if (end == out.size() || out[end] == '.')
      out.erase(at, kBaseLayer.size());
    else
      at = end;
  }
  return out;
}

/// Splits `adapter.weight`, `weight`, `adapter` or nothing.
struct PeftTail {
  std::string_view adapter, leaf;
  bool fits = true;
};

PeftTail split_tail(std::string_view tail) {
  PeftTail out;
  if (tail.empty()) return out;
  tail.remove_prefix(1);  // the dot
  const size_t dot = tail.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? tail : tail.substr(dot + 1);
  if (last == "weight" || last == "bias") {
    out.leaf = last;
    out.adapter = dot == std::string_view::npos ? std::string_view() : tail.substr(0, dot);
  } else {
    out.adapter = tail;
  }
  out.fits = out.adapter.find('.') == std::string_view::npos;
  return out;
}

/// Fills role and adapter from what stands behind `.lora_`; false when PEFT writes no such key.
bool classify_lora(std::string_view part, PeftKey& out) {
  struct Row {
    std::string_view name;
    PeftRole role;
    bool needs_weight;
  };
  static constexpr Row kRows[] = {{"A", PeftRole::kA, true},
                                  {"B", PeftRole::kB, true},
                                  {"embedding_A", PeftRole::kEmbeddingA, false},
                                  {"embedding_B", PeftRole::kEmbeddingB, false},
                                  {"magnitude_vector", PeftRole::kMagnitude, false},
                                  {"diag", PeftRole::kDiagonal, false}};
  if (part.substr(0, 18) == "monteclora_sampler" || part.substr(0, 12) == "velora_embed") {
    out.role = PeftRole::kTrainingState;
    return true;
  }
  const size_t dot = part.find('.');
  const std::string_view name = part.substr(0, dot);
  const PeftTail tail = split_tail(dot == std::string_view::npos ? std::string_view() : part.substr(dot));
  for (const Row& row : kRows) {
    if (row.name != name || !tail.fits) continue;
    out.role = row.role;
    out.adapter = std::string(tail.adapter);
    if (tail.leaf == "bias") {
      if (row.role != PeftRole::kB) return false;
      out.role = PeftRole::kBias;
      return true;
    }
    return !row.needs_weight || tail.leaf == "weight";
  }
  return false;
}

/// Cuts `.modules_to_save` and the adapter's name behind it out of the path of a full tensor.
std::string without_save_infix(std::string_view path, PeftKey& out) {
  constexpr std::string_view kInfix = ".modules_to_save.";
  const size_t at = path.find(kInfix);
  if (at == std::string_view::npos) return std::string(path);
  std::string_view rest = path.substr(at + kInfix.size());
  if (rest.substr(0, 8) == "default.") {
    out.adapter = "default";
    rest.remove_prefix(8);
  }
  return std::string(path.substr(0, at)) + "." + std::string(rest);
}

}  // namespace

PeftKey parse_peft_key(std::string_view key, const std::string& file) {
  if (key.size() > kLongestKey)
    throw InputError(fmt::format("{}: a tensor's name has {} characters, expected at most {}: '{}...'", file,
                                 key.size(), kLongestKey, key.substr(0, 80)));
  PeftKey out;
  std::string_view path = without_prefix(key);
  const size_t mark = path.rfind(".lora_");
  if (mark != std::string_view::npos) {
    if (!classify_lora(path.substr(mark + 6), out))
      throw InputError(
          fmt::format("{}: tensor '{}' is not one that a LoRA has; expected lora_A.weight, lora_B.weight, lora_B.bias, "
                      "lora_embedding_A, lora_embedding_B, lora_magnitude_vector or lora_diag behind the module's name",
                      file, key));
    std::string_view module = path.substr(0, mark);
    while (take_end(module, kBaseLayer)) ++out.depth;
    out.name = without_base_layer(module);
    return out;
  }
  if (path.find(".original_module.") != std::string_view::npos) out.role = PeftRole::kFrozenCopy;
  std::string_view rows = path;
  const size_t token = rows.find(".token_adapter.");
  if (token != std::string_view::npos && rows.find("trainable_tokens_delta", token) != std::string_view::npos) {
    out.role = PeftRole::kTokenRows;
    out.name = without_base_layer(rows.substr(0, token)) + ".weight";
    return out;
  }
  out.name = without_base_layer(without_save_infix(path, out));
  return out;
}

bool looks_like_peft(std::string_view key) {
  return key.find(".lora_A.") != std::string_view::npos || key.find(".lora_B.") != std::string_view::npos ||
         key.find(".lora_embedding_") != std::string_view::npos;
}

}  // namespace weft::adapter
