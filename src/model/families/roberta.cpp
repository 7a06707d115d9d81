#include <fmt/format.h>

#include "model/families/encoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_roberta(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  const BertOptions options = read_bert(builder, "roberta", "RobertaModel");
  // Row p of the table belongs to padding, real tokens begin behind it.
  const std::int64_t padding = config.integer({"pad_token_id"}, 1, 0);
  if (padding + 1 >= options.shape.positions)
    config.fail("max_position_embeddings",
                fmt::format("is {}, expected more than pad_token_id + 1 = {}", options.shape.positions, padding + 1));
  network.input.position_offset = padding + 1;
  network.input.unplaced = padding;
  describe(options.shape, info);
  info.positions = options.shape.positions - (padding + 1);
  info.positions_end = true;
  build_bert_encoder(builder, options, network);
  build_classifier(builder, {"classifier.dense", "classifier.out_proj"}, options.shape, network, info);
}

}  // namespace

/// RoBERTa (Liu et al. 2019, arXiv 1907.11692).
Family roberta_family() {
  return {"roberta",
          Kind::kEncoder,
          {"RobertaModel", "RobertaForSequenceClassification", "RobertaForMaskedLM"},
          build_roberta};
}

}  // namespace weft::model
