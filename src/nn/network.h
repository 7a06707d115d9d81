#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/modules.h"

namespace weft::nn {

/// Everything before the first block.
struct Input {
  Embedding tokens;
  Embedding positions;               ///< learned positions (GPT-2, OPT, BERT) or absent
  std::int64_t position_offset = 0;  ///< row of position 0
  std::int64_t unplaced = -1;        ///< RoBERTa: this token takes the row before position 0 and no position
  Embedding types;                   ///< BERT's token types or absent
  double scale = 1.0;                ///< multiplies token embeddings (Gemma)
  Norm norm;                         ///< after the sum (BERT, BLOOM) or absent
  LinearGroup project;               ///< OPT's project_in or absent
};

/// A classification head over the first token's state.
struct Classifier {
  LinearGroup dense;  ///< BERT's pooler, RoBERTa's dense, DistilBERT's pre_classifier; absent for none
  Activation activation = Activation::kTanh;
  LinearGroup out;         ///< absent: the model has no classification head
  std::string why_absent;  ///< why a head that the checkpoint has is left out, or empty
};

/// A whole model: one stack (decoder or encoder), or two (T5: `encoder` and `decoder`).
struct Network {
  Input input;                 ///< shared by both stacks of T5
  Stack encoder, decoder;      ///< unused ones have no layers
  Embedding decoder_tokens;    ///< the same table under the name it has in T5's decoder, or absent
  LinearGroup project_out;     ///< OPT's project_out or absent
  LinearGroup head;            ///< lm_head; absent for encoders
  double logit_scale = 1.0;    ///< multiplies the state before the head (T5 with tied embeddings)
  double logit_softcap = 0.0;  ///< Gemma 2
  Classifier classifier;
  std::vector<std::string> idle;  ///< modules that the checkpoint has but nothing reads (T5's `shared`)

  /// Everything before the first block of the second stack.
  Input decoder_input() const;
  /// Calls `group` / `embedding` / `norm` for everything present that adapters may act on, in a fixed order. (T5's
  /// table of biases by distance is not: its rows do not belong to tokens.)
  void visit(const std::function<void(LinearGroup&)>& group, const std::function<void(Embedding&)>& embedding,
             const std::function<void(Norm&)>& norm);
  /// Gives groups and embeddings their indices. Call once, when everything is in place.
  void number_sites();
  int groups = 0, embeddings = 0;  ///< set by number_sites()
};

}  // namespace weft::nn
