#include "model/families/gemma.h"
#include "model/family.h"
#include "model/rope_config.h"

namespace weft::model {

namespace {

/// One layer in `from` attends to everything.
bool gemma3_slides(std::int64_t layer, std::int64_t from) { return (layer + 1) % from != 0; }

void build_gemma3_text(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  config.require_flag("use_bidirectional_attention", false, "only causal attention is computed");
  const DecoderShape shape = read_gemma_shape(config, 131072);
  describe(shape, info);
  GemmaOptions options;
  options.head_norms = options.local_rope = true;
  // `attn_logit_softcapping` has no effect: transformers reads it and never passes it on.
  options.windows = read_windows(config, shape.layers, config.integer({"sliding_window"}, 4096), gemma3_slides,
                                 config.integer({"sliding_window_pattern", "_sliding_window_pattern"}, 6));
  RopeSource rope;
  rope.head_dim = shape.head_dim, rope.positions = shape.positions;
  rope.theta = 1e6, rope.layer_type = "full_attention";
  RopeSource local = rope;
  local.theta = 1e4, local.theta_key = "rope_local_base_freq", local.layer_type = "sliding_attention";
  local.scaled = false;
  network.decoder.ropes = {read_rope(config, rope), read_rope(config, local)};
  network.logit_softcap = config.positive({"final_logit_softcapping"}, 0.0);
  build_gemma(builder, shape, options, network);
}

/// The language model inside a checkpoint that also sees pictures; those parts are left alone.
void build_gemma3(Builder& builder, nn::Network& network, ModelInfo& info) {
  builder.enter("text_config");
  build_gemma3_text(builder, network, info);
}

}  // namespace

/// Gemma 3 (Gemma Team 2025, arXiv 2503.19786), text models.
Family gemma3_text_family() {
  return {"gemma3_text", Kind::kCausal, {"Gemma3ForCausalLM", "Gemma3TextModel"}, build_gemma3_text};
}
/// Gemma 3 with a picture encoder, whose text part is run.
Family gemma3_family() { return {"gemma3", Kind::kCausal, {"Gemma3ForConditionalGeneration"}, build_gemma3}; }

}  // namespace weft::model
