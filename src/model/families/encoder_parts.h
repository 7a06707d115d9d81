#pragma once

#include <string>

#include "model/families/parts.h"

namespace weft::model {

/// The prefix of a family's encoder inside a model with a head, as `bert.`; transformers' headless class has none.
std::string encoder_prefix(const Builder& builder, const std::string& prefix, const std::string& headless);

/// Names of a classification head: `dense` reads the first token's state, `out` its activation.
struct HeadNames {
  std::string dense, out;
  nn::Activation activation = nn::Activation::kTanh;
};
/**
 * The head of sequence classification: built where the architecture says so, or where there is none and the weights
 * are there. A head that gives no class logits (`problem_type` other than single_label_classification, one label) is
 * left out, with a warning, and the reason is kept for classify().
 */
void build_classifier(Builder& builder, const HeadNames& names, const DecoderShape& shape, nn::Network& network,
                      ModelInfo& info);

/// What BERT and RoBERTa differ in.
struct BertOptions {
  std::string prefix;  ///< `bert.`, `roberta.` or empty
  DecoderShape shape;
};
/// Sizes and options under BERT's keys; `defaults` holds vocabulary and positions.
BertOptions read_bert(const Builder& builder, const std::string& family, const std::string& headless);
/// Embeddings and blocks under BERT's names.
void build_bert_encoder(Builder& builder, const BertOptions& options, nn::Network& network);

}  // namespace weft::model
