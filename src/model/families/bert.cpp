#include "model/families/encoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

void build_bert(Builder& builder, nn::Network& network, ModelInfo& info) {
  const BertOptions options = read_bert(builder, "bert", "BertModel");
  describe(options.shape, info);
  info.positions_end = true;
  build_bert_encoder(builder, options, network);
  build_classifier(builder, {options.prefix + "pooler.dense", "classifier"}, options.shape, network, info);
}

}  // namespace

/// BERT (Devlin et al. 2019, arXiv 1810.04805) and the sentence encoders made from it.
Family bert_family() {
  return {"bert",
          Kind::kEncoder,
          {"BertModel", "BertForSequenceClassification", "BertForMaskedLM", "BertForPreTraining"},
          build_bert};
}

}  // namespace weft::model
