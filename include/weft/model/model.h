#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/core/tensor.h"
#include "weft/nn/batch.h"
#include "weft/nn/experts.h"

namespace weft::model {

/// What a base model is for.
enum class Kind {
  kCausal,   ///< predicts the next token (Llama, GPT-2, …)
  kSeq2Seq,  ///< encoder and decoder (T5)
  kEncoder,  ///< states of its inputs, with or without a classification head (BERT, …)
};

/// What is known of a base model after reading its config and the headers of its weights.
struct ModelInfo {
  std::filesystem::path path;
  std::string family;        ///< `llama`, `gpt2`, …: the config's model_type
  std::string architecture;  ///< the config's class name, as written there
  Kind kind = Kind::kCausal;
  std::int64_t vocabulary = 0, width = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, feed_forward = 0;
  std::int64_t positions = 0;               ///< what the config says; see `positions_end`
  bool positions_end = false;               ///< learned positions: nothing longer than `positions` can be run
  std::int64_t parameters = 0;              ///< numbers in the checkpoint that the model uses
  std::int64_t bytes = 0;                   ///< of these, as stored
  std::string dtype;                        ///< as stored: `float32`, `bfloat16`, …; `mixed`
  std::vector<std::string> labels;          ///< of the classification head, by index; empty: there is none
  std::vector<std::int64_t> end_tokens;     ///< generation_config.json's, else config.json's eos_token_id
  std::optional<std::int64_t> start_token;  ///< what the decoder of a seq2seq model starts from
  std::optional<std::int64_t> padding;      ///< pad_token_id
  std::vector<std::string> modules;         ///< names of the linears and embeddings an adapter can act on
  std::vector<std::string> warnings;        ///< worth saying once
};

/// How a base model is opened.
struct OpenOptions {
  /// The dtype that weights are held in: float32, bfloat16, float16; nothing: as stored. Arithmetic is float32 on a CPU
  /// whatever this is.
  std::optional<c10::ScalarType> dtype;
  std::string device = "cpu";  ///< `cpu`, `cuda`, `cuda:1`
};

/**
 * Adapters and how they are weighed: what a forward pass adds to the base. The default is the base alone. With weights
 * per candidate every result below holds all candidates, one after the other: `logits` [candidates · tokens, …], and so
 * on.
 */
struct Composition {
  nn::Experts experts;
  nn::Mix mix;
};

/**
 * A base model, ready to run. Weights are views of the mapped files wherever dtype and device allow. Cheap to copy
 * (shared, immutable); safe to use from several threads. Nothing here ever changes a weight.
 */
class WEFT_API BaseModel {
 public:
  /**
   * Opens a Hugging Face checkpoint folder: `config.json`, and `model.safetensors` or `pytorch_model.bin`, whole or in
   * shards.
   * @throws InputError / FormatError / UnsupportedError: unknown family, option, activation or rope scaling (listing
   * what is supported), missing or misshapen weights (naming tensor, file, expected and got), missing shards,
   *         non-finite weights; UsageError for an unknown device.
   */
  static BaseModel open(const std::filesystem::path& path, const OpenOptions& options = {});
  /// Reads config and headers only. @throws as open().
  static ModelInfo inspect(const std::filesystem::path& path);

  const ModelInfo& info() const;
  /**
   * Stacks a pool's adapters for this model.
   * @throws InputError naming the first module that is not in this model or has another shape; UnsupportedError for
   * what cannot be attached.
   */
  nn::Experts attach(const adapter::Pool& pool, Log& log = silent_log()) const;

  /// Causal: logits of every token, float32 [tokens, vocabulary], sequences end to end.
  Tensor logits(const nn::Batch& batch, const Composition& composition = {}) const;
  /// Seq2seq: decoder logits [target tokens, vocabulary]; row t of a target predicts its id t. Inputs and targets pair
  /// up one to one.
  Tensor logits(const nn::Batch& inputs, const nn::Batch& targets, const Composition& composition = {}) const;
  /// Last hidden states [tokens, width] after the final norm; of a seq2seq model the encoder's.
  Tensor states(const nn::Batch& batch, const Composition& composition = {}) const;
  /// Logits of the classification head [sequences, labels]. @throws UsageError when there is none.
  Tensor classify(const nn::Batch& batch, const Composition& composition = {}) const;
  /// Sentence embeddings [sequences, width]: mean of the states over all tokens, normalised to length 1.
  Tensor embed(const nn::Batch& batch, const Composition& composition = {}) const;
  /**
   * Negative log-likelihoods in nats, float32 [Σ (length_i - first_i)], of the tokens from index `first[i]` of sequence
   * i on (at least 1: nothing predicts the first), sequences end to end. Logits are formed in slices, never all at
   * once.
   */
  Tensor nll(const nn::Batch& batch, const std::vector<std::int64_t>& first, const Composition& composition = {}) const;
  /// Seq2seq: of every target token, [target tokens].
  Tensor nll(const nn::Batch& inputs, const nn::Batch& targets, const Composition& composition = {}) const;

  struct Data;
  explicit BaseModel(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const Data& data() const { return *data_; }

 private:
  std::shared_ptr<const Data> data_;
};

/// Families that open() knows, by the config's model_type.
WEFT_API std::vector<std::string> families();

}  // namespace weft::model
