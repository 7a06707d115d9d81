#include "model/families/decoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_mistral(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  DecoderDefaults defaults;
  defaults.kv_heads = 8, defaults.positions = 131072;
  const DecoderShape shape = read_decoder_shape(config, defaults);
  describe(shape, info);
  const bool off = config.has("sliding_window") && config.find({"sliding_window"}) == nullptr;
  BlockOptions options;
  options.windows.assign(static_cast<size_t>(shape.layers), off ? 0 : config.integer({"sliding_window"}, 4096));
  build_pre_norm_decoder(builder, shape, options, false, network);
}

}  // namespace

/// Mistral 7B (Jiang et al. 2023, arXiv 2310.06825): Llama with a sliding window.
Family mistral_family() { return {"mistral", Kind::kCausal, {"MistralForCausalLM", "MistralModel"}, build_mistral}; }

}  // namespace weft::model
