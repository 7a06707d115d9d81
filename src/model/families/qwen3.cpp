#include "model/families/decoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_qwen3(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  DecoderDefaults defaults;
  defaults.head_dim = 128, defaults.kv_heads = 32, defaults.positions = 32768;
  const DecoderShape shape = read_decoder_shape(config, defaults);
  describe(shape, info);
  BlockOptions options;
  options.qkv_bias = options.out_bias = config.flag({"attention_bias"}, false) ? Presence::kRequired : Presence::kNone;
  options.head_norms = true;
  options.windows = qwen_windows(config, shape.layers);
  build_pre_norm_decoder(builder, shape, options, false, network);
}

}  // namespace

/// Qwen3's dense models (Yang et al. 2025, arXiv 2505.09388): a norm on every head of q and k.
Family qwen3_family() { return {"qwen3", Kind::kCausal, {"Qwen3ForCausalLM", "Qwen3Model"}, build_qwen3}; }

}  // namespace weft::model
