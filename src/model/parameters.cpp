#include "model/parameters.h"

#include <ATen/ATen.h>

#include <memory>
#include <unordered_map>

#include "model/model_data.h"

namespace weft::model {

namespace {

class ParameterList {
 public:
  void add(const std::string& name, Tensor& tensor, bool norm_or_bias) {
    if (!tensor.defined()) return;
    const auto [at, fresh] = by_tensor_.emplace(tensor.unsafeGetTensorImpl(), out_.size());
    if (fresh)
      out_.push_back({name, {&tensor}, norm_or_bias});
    else if (out_[at->second].places.front() != &tensor)
      out_[at->second].places.push_back(&tensor);
  }

  std::vector<Parameter> take() { return std::move(out_); }

 private:
  std::vector<Parameter> out_;
  std::unordered_map<const void*, size_t> by_tensor_;
};

}  // namespace

std::vector<Parameter> parameters_of(nn::Network& network) {
  ParameterList list;
  // T5's two stacks look tokens up under names of their own; the weight belongs to neither.
  if (network.decoder_tokens.present()) list.add("shared.weight", network.input.tokens.weight, false);
  network.visit(
      [&](nn::LinearGroup& group) {
        for (nn::Linear& part : group.parts) {
          list.add(part.name + ".weight", part.weight, false);
          list.add(part.name + ".bias", part.bias, true);
        }
      },
      [&](nn::Embedding& table) { list.add(table.name + ".weight", table.weight, false); },
      [&](nn::Norm& norm) {
        if (norm.plain) return;
        list.add(norm.name + ".weight", norm.weight, true);
        list.add(norm.name + ".bias", norm.bias, true);
      });
  for (nn::Stack* stack : {&network.encoder, &network.decoder})
    list.add(stack->relative.table.name + ".weight", stack->relative.table.weight, false);
  return list.take();
}

BaseModel trainable_copy(const BaseModel& model, std::vector<std::pair<std::string, Tensor>>& leaves) {
  auto data = std::make_shared<BaseModel::Data>(model.data());
  data->trainable = true;
  data->info.dtype = "float32";
  leaves.clear();
  for (const Parameter& parameter : parameters_of(data->network)) {
    const Tensor leaf = parameter.places.front()->detach().to(at::kFloat).clone().contiguous();
    leaf.requires_grad_(true);
    for (Tensor* place : parameter.places) *place = leaf;
    leaves.emplace_back(parameter.name, leaf);
  }
  return BaseModel(std::move(data));
}

}  // namespace weft::model
