#include "model/family.h"

namespace weft::model {

const std::vector<Family>& family_table() {
  static const std::vector<Family> table = {
      llama_family(),  mistral_family(), qwen2_family(),   qwen3_family(),     gemma2_family(), gemma3_text_family(),
      gemma3_family(), phi3_family(),    gpt2_family(),    gpt_neox_family(),  opt_family(),    bloom_family(),
      t5_family(),     bert_family(),    roberta_family(), distilbert_family()};
  return table;
}

std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const Family& family : family_table()) out.push_back(family.name);
  return out;
}

}  // namespace weft::model
