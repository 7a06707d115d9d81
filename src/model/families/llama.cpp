#include "model/families/decoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_llama(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  const DecoderShape shape = read_decoder_shape(config, {});
  describe(shape, info);
  BlockOptions options;
  options.qkv_bias = options.out_bias = config.flag({"attention_bias"}, false) ? Presence::kRequired : Presence::kNone;
  options.mlp_bias = config.flag({"mlp_bias"}, false) ? Presence::kRequired : Presence::kNone;
  build_pre_norm_decoder(builder, shape, options, false, network);
}

}  // namespace

/// Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971), TinyLlama, SmolLM.
Family llama_family() { return {"llama", Kind::kCausal, {"LlamaForCausalLM", "LlamaModel"}, build_llama}; }

}  // namespace weft::model
