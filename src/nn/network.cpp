#include "nn/network.h"

namespace weft::nn {

namespace {

using GroupVisitor = std::function<void(LinearGroup&)>;
using NormVisitor = std::function<void(Norm&)>;

void visit_attention(Attention& attention, const GroupVisitor& group, const NormVisitor& norm) {
  for (LinearGroup* g : {&attention.qkv, &attention.cross_kv, &attention.out})
    if (g->present()) group(*g);
  for (Norm* n : {&attention.q_norm, &attention.k_norm})
    if (n->present()) norm(*n);
}

void visit_stack(Stack& stack, const GroupVisitor& group, const NormVisitor& norm) {
  for (Layer& layer : stack.layers) {
    for (Norm* n :
         {&layer.before_attention, &layer.after_attention, &layer.before_cross, &layer.before_mlp, &layer.after_mlp})
      if (n->present()) norm(*n);
    visit_attention(layer.attention, group, norm);
    visit_attention(layer.cross, group, norm);
    for (LinearGroup* g : {&layer.mlp.up, &layer.mlp.down})
      if (g->present()) group(*g);
  }
  if (stack.final_norm.present()) norm(stack.final_norm);
}

}  // namespace

void Network::visit(const std::function<void(LinearGroup&)>& group, const std::function<void(Embedding&)>& embedding,
                    const std::function<void(Norm&)>& norm) {
  for (Embedding* e : {&input.tokens, &decoder_tokens, &input.positions, &input.types})
    if (e->present()) embedding(*e);
  if (input.project.present()) group(input.project);
  if (input.norm.present()) norm(input.norm);
  visit_stack(encoder, group, norm);
  visit_stack(decoder, group, norm);
  for (LinearGroup* g : {&project_out, &head, &classifier.dense, &classifier.out})
    if (g->present()) group(*g);
}

Input Network::decoder_input() const {
  Input out = input;
  if (decoder_tokens.present()) out.tokens = decoder_tokens;
  return out;
}

void Network::number_sites() {
  groups = embeddings = 0;
  visit([this](LinearGroup& group) { group.index = groups++; },
        [this](Embedding& embedding) { embedding.index = embeddings++; }, [](Norm&) {});
}

}  // namespace weft::nn
