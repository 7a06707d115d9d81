#pragma once

#include <ATen/core/ivalue.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace weft::nn {

/// What a recorded operation keeps beside its tensors, as its context can hold it.
template <class Value>
struct RecordedState : torch::CustomClassHolder {
  explicit RecordedState(Value v) : value(std::move(v)) {}
  Value value;
};

template <class Value>
void keep_state(torch::autograd::AutogradContext& context, Value value) {
  context.saved_data["state"] = c10::IValue::make_capsule(c10::make_intrusive<RecordedState<Value>>(std::move(value)));
}

template <class Value>
const Value& kept_state(torch::autograd::AutogradContext& context) {
  return c10::static_intrusive_pointer_cast<RecordedState<Value>>(context.saved_data.at("state").toCapsule())->value;
}

}  // namespace weft::nn
