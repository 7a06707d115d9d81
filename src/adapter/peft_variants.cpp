#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>
#include <string_view>

#include "adapter/peft_config.h"

namespace weft::adapter {

namespace {

/// A PEFT method that is not LoRA: how it is spelled, and what it stores instead of two factors.
struct PeftMethod {
  std::string_view type, name, stores;
  bool has_delta;  ///< PEFT can turn it into a LoRA
};

constexpr PeftMethod kPeftMethods[] = {
    {"adalora", "AdaLoRA", "an SVD-like update with its own singular values and scaling", false},
    {"adamss", "AdaMSS", "updates of subspaces of the base weight", false},
    {"adaption_prompt", "adaption prompts", "prompts, not weight updates", false},
    {"beft", "BEFT", "bias vectors, not low-rank updates", false},
    {"boft", "BOFT", "orthogonal factors that multiply the base weight", false},
    {"bone", "Bone", "block updates that are not a pair of factors", false},
    {"c3a", "C3A", "circulant blocks, not a pair of factors", true},
    {"cartridge", "Cartridge", "a key-value cache, not weight updates", false},
    {"cpt", "CPT", "prompts, not weight updates", false},
    {"delora", "DeLoRA", "normalised factors whose strength depends on the base weight", true},
    {"fourierft", "FourierFT", "spectral coefficients, not a pair of factors", true},
    {"gralora", "GraLoRA", "many small updates per block of the weight", true},
    {"hira", "HiRA", "an update multiplied entry by entry with the base weight", false},
    {"hra", "HRA", "Householder reflections that multiply the base weight", false},
    {"ia3", "(IA)3", "vectors that rescale activations", false},
    {"lily", "Lily", "factors shared between layers with a router", false},
    {"ln_tuning", "LN tuning", "layer norms, not low-rank updates", false},
    {"loha", "LoHa", "an update that is an entrywise product of two low-rank ones", true},
    {"lokr", "LoKr", "an update that is a Kronecker product", true},
    {"miss", "MiSS", "shards that are expanded over the weight", true},
    {"multitask_prompt_tuning", "multitask prompt tuning", "prompts, not weight updates", false},
    {"oft", "OFT", "orthogonal factors that multiply the base weight", false},
    {"osf", "OSF", "a part of the base weight's own SVD", false},
    {"p_tuning", "P-tuning", "prompts, not weight updates", false},
    {"poly", "Poly", "several skills mixed by a router", false},
    {"prefix_tuning", "prefix tuning", "a key-value cache, not weight updates", false},
    {"prompt_tuning", "prompt tuning", "prompts, not weight updates", false},
    {"psoft", "PSOFT", "orthogonal transforms of the base weight's leading subspace", true},
    {"pvera", "PVeRA", "scaling vectors of shared random factors", false},
    {"randlora", "RandLoRA", "scaling vectors of shared random factors", true},
    {"road", "RoAd", "rotations of activations", false},
    {"shira", "SHiRA", "a sparse update, not a pair of factors", false},
    {"tinylora", "TinyLoRA", "coefficients of the base weight's own SVD", false},
    {"trainable_tokens", "trainable tokens", "rows of embeddings, not low-rank updates", false},
    {"unilora", "Uni-LoRA", "indices into one shared vector", true},
    {"vblora", "VB-LoRA", "indices into a bank of shared vectors", true},
    {"vera", "VeRA", "scaling vectors of shared random factors", true},
    {"waveft", "WaveFT", "wavelet coefficients, not a pair of factors", true},
    {"xlora", "X-LoRA", "a gate over several adapters", false},
};

void append_reason(std::string& text, std::string_view reason) {
  if (!text.empty()) text += "; ";
  text += reason;
}

bool init_is(const PeftConfig& c, std::string_view name) { return c.init.rfind(name, 0) == 0; }

}  // namespace

std::vector<std::string> peft_variants(const PeftConfig& c) {
  std::vector<std::string> out;
  const std::pair<bool, const char*> flags[] = {{c.rslora, "rslora"},
                                                {c.dora, "dora"},
                                                {c.lora_bias, "lora_bias"},
                                                {c.qalora, "qalora"},
                                                {c.bdlora, "bdlora"},
                                                {c.kasa, "kasa"},
                                                {c.init == "mica", "mica"},
                                                {c.velora, "velora"},
                                                {c.monteclora, "monteclora"},
                                                {c.alora, "alora"},
                                                {c.arrow, "arrow"},
                                                {init_is(c, "pissa"), "pissa"},
                                                {init_is(c, "olora"), "olora"},
                                                {init_is(c, "corda"), "corda"},
                                                {init_is(c, "lora_ga"), "lora_ga"},
                                                {init_is(c, "loftq"), "loftq"}};
  for (const auto& [set, name] : flags)
    if (set) out.emplace_back(name);
  return out;
}

std::string peft_needs_base(const PeftConfig& c) {
  std::string out;
  if (c.dora) append_reason(out, "dora: its magnitudes rescale the base weights; an ordinary delta needs base_model");
  if (c.kasa)
    append_reason(out,
                  "kasa: training removed the smallest singular directions of the base weights; an ordinary delta "
                  "needs base_model");
  const std::string saved = "the initial adapter, saved when training began (path_initial_model_for_weight_conversion)";
  if (init_is(c, "pissa_niter"))
    append_reason(out, fmt::format("{}: training subtracted a randomised SVD from the base weights; an ordinary delta "
                                   "needs {}",
                                   c.init, saved));
  else if (init_is(c, "pissa"))
    append_reason(out,
                  "pissa: training subtracted the leading singular directions from the base weights; an ordinary "
                  "delta needs base_model");
  if (init_is(c, "olora"))
    append_reason(out,
                  "olora: training subtracted part of a QR decomposition from the base weights; an ordinary "
                  "delta needs base_model");
  if (init_is(c, "corda") || init_is(c, "lora_ga"))
    append_reason(out, fmt::format("{}: training subtracted data-dependent factors from the base weights; an ordinary "
                                   "delta needs {}",
                                   c.init, saved));
  if (init_is(c, "loftq"))
    append_reason(out, "loftq: the update belongs to the quantised base weights it was trained with, and only to them");
  return out;
}

std::string peft_refusal(const PeftConfig& c) {
  if (c.type == "lora") {
    if (c.alora)
      return "aLoRA (activated LoRA) is recognised, but it acts only after its invocation tokens, which no update of "
             "the base weights can do; use it alone, or compose adapters trained without alora_invocation_tokens";
    if (c.arrow)
      return "an Arrow router is recognised, but it holds no update of its own; name the adapters it routes between";
    if (c.merged_linear)
      return "the fused layers of PEFT before 0.3 (enable_lora) are recognised, but not composed; load and save the "
             "adapter with a later PEFT, or retrain it with one target per projection";
    return {};
  }
  const auto* at = std::find_if(std::begin(kPeftMethods), std::end(kPeftMethods),
                                [&](const PeftMethod& m) { return m.type == c.type; });
  if (at == std::end(kPeftMethods)) {
    std::string upper = c.type;
    for (char& ch : upper) ch = static_cast<char>(std::toupper(static_cast<unsigned char>(ch)));
    return fmt::format(
        "peft_type {} is not known here, and only LORA can be composed; if PEFT can compute its delta, "
        "convert it to a LoRA first (peft.convert_to_lora)",
        upper);
  }
  return fmt::format(
      "{} is recognised, but it stores {}, and only LoRA can be composed; {}", at->name, at->stores,
      at->has_delta ? "convert it to a LoRA first (peft.convert_to_lora), or train a LoRA" : "train a LoRA instead");
}

}  // namespace weft::adapter
