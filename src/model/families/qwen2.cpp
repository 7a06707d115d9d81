#include "model/families/decoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_qwen2(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  DecoderDefaults defaults;
  defaults.kv_heads = 32, defaults.positions = 32768;
  const DecoderShape shape = read_decoder_shape(config, defaults);
  describe(shape, info);
  BlockOptions options;
  options.qkv_bias = Presence::kRequired;
  options.windows = qwen_windows(config, shape.layers);
  build_pre_norm_decoder(builder, shape, options, false, network);
}

}  // namespace

/// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): biases on q, k and v.
Family qwen2_family() { return {"qwen2", Kind::kCausal, {"Qwen2ForCausalLM", "Qwen2Model"}, build_qwen2}; }

}  // namespace weft::model
