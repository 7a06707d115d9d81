// What a pickle may name: torch's storages and tensors, OrderedDict, Size. Nothing here makes or calls an object.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "io/pickle_machine.h"

namespace weft::io {

namespace {

/// Arguments of the functions we know; a longer tuple, called again and again, would only burn time.
constexpr size_t kMaxArguments = 16;

struct StorageName {
  std::string_view name;
  c10::ScalarType dtype;
};
constexpr std::array<StorageName, 14> kStorageNames{{
    {"FloatStorage", c10::ScalarType::Float},
    {"HalfStorage", c10::ScalarType::Half},
    {"BFloat16Storage", c10::ScalarType::BFloat16},
    {"DoubleStorage", c10::ScalarType::Double},
    {"LongStorage", c10::ScalarType::Long},
    {"IntStorage", c10::ScalarType::Int},
    {"ShortStorage", c10::ScalarType::Short},
    {"CharStorage", c10::ScalarType::Char},
    {"ByteStorage", c10::ScalarType::Byte},
    {"BoolStorage", c10::ScalarType::Bool},
    {"ComplexFloatStorage", c10::ScalarType::ComplexFloat},
    {"Float8_e4m3fnStorage", c10::ScalarType::Float8_e4m3fn},
    {"Float8_e5m2Storage", c10::ScalarType::Float8_e5m2},
    {"ComplexDoubleStorage", c10::ScalarType::ComplexDouble},
}};

constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildTensorOld = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kTorchSize = "torch.Size";

/// dtype of `torch.FloatStorage` and its kin, old CUDA names included.
std::optional<c10::ScalarType> storage_dtype(std::string_view module, std::string_view name) {
  if (module != "torch" && module != "torch.cuda") return std::nullopt;
  for (const StorageName& s : kStorageNames)
    if (s.name == name) return s.dtype;
  return std::nullopt;
}

}  // namespace

void PickleMachine::global(std::string_view module, std::string_view name) {
  std::string full = fmt::format("{}.{}", module, name);
  PickleNode node;
  node.kind = Kind::kGlobal;
  if (const auto dtype = storage_dtype(module, name)) {
    node.dtype = *dtype;
    return push(std::move(node));
  }
  for (const std::string_view allowed :
       {kRebuildTensor, kRebuildTensorOld, kRebuildParameter, kOrderedDict, kTorchSize}) {
    if (full != allowed) continue;
    node.text = allowed;
    return push(std::move(node));
  }
  if (full.size() > 200) full.resize(200);
  fail(
      fmt::format("needs '{}', which is neither a tensor nor a plain container; Weft never executes pickles. "
                  "Save the tensors alone, best as safetensors",
                  full));
}

/// `('storage', StorageType, key, location, elements[, view])`.
void PickleMachine::persistent() {
  const PickleNode& id = nodes_[pop()];
  const auto item = [&](size_t k) -> const PickleNode& { return nodes_[id.items[k]]; };
  if (id.kind != Kind::kTuple || id.items.size() < 5 || item(0).text != "storage") fail("an unknown persistent id");
  if (item(1).kind != Kind::kGlobal || item(1).dtype == c10::ScalarType::Undefined) fail("a storage without a type");
  if (item(2).kind != Kind::kString || item(4).kind != Kind::kInt || item(4).integer < 0)
    fail("a storage without key or size");
  PickleNode out;
  out.kind = Kind::kStorage;
  out.dtype = item(1).dtype;
  out.text = item(2).text;
  out.integer = item(4).integer;
  if (id.items.size() > 5 && item(5).kind != Kind::kNone)
    fail("a storage that is a view of another (torch before 0.4); save it again with a newer torch");
  push(std::move(out));
}

void PickleMachine::rebuild_tensor(const std::vector<std::uint32_t>& args) {
  const auto tuple_of_ints = [&](std::uint32_t i) {
    const PickleNode& n = nodes_[i];
    return n.kind == Kind::kTuple &&
           std::all_of(n.items.begin(), n.items.end(), [&](std::uint32_t k) { return nodes_[k].kind == Kind::kInt; });
  };
  if (args.size() < 4 || nodes_[args[0]].kind != Kind::kStorage || nodes_[args[1]].kind != Kind::kInt ||
      !tuple_of_ints(args[2]) || !tuple_of_ints(args[3]))
    fail("a tensor with the wrong arguments");
  PickleNode out;
  out.kind = Kind::kTensor;
  out.integer = nodes_[args[1]].integer;
  out.items = {args[0], args[2], args[3]};
  push(std::move(out));
}

/// Empty, or made from a list of pairs.
void PickleMachine::ordered_dict(const std::vector<std::uint32_t>& args) {
  PickleNode out;
  out.kind = Kind::kDict;
  if (args.size() > 1) fail("an OrderedDict with the wrong arguments");
  if (args.size() == 1) {
    // The same list may be named again and again: what is copied counts like values made.
    copied_ += nodes_[args[0]].items.size();
    if (copied_ > kMaxNodes) fail(fmt::format("more than {} values", kMaxNodes));
    for (const std::uint32_t pair : nodes_[args[0]].items) {
      const PickleNode& p = nodes_[pair];
      if ((p.kind != Kind::kList && p.kind != Kind::kTuple) || p.items.size() != 2)
        fail("an OrderedDict with the wrong arguments");
      out.items.insert(out.items.end(), p.items.begin(), p.items.end());
    }
  }
  push(std::move(out));
}

void PickleMachine::reduce() {
  const std::uint32_t args_at = pop(), callee_at = pop();
  if (nodes_[callee_at].kind != Kind::kGlobal || nodes_[args_at].kind != Kind::kTuple)
    fail("a call of something that is not a known name");
  const std::string_view name = nodes_[callee_at].text;
  if (nodes_[args_at].items.size() > kMaxArguments) fail(fmt::format("'{}' with too many arguments", name));
  const std::vector<std::uint32_t> args = nodes_[args_at].items;
  if (name == kRebuildTensor || name == kRebuildTensorOld) return rebuild_tensor(args);
  if (name == kOrderedDict) return ordered_dict(args);
  const Kind wanted = name == kTorchSize ? Kind::kTuple : Kind::kTensor;
  if (name.empty() || args.empty() || nodes_[args[0]].kind != wanted)
    fail(fmt::format("'{}' with the wrong arguments", name));
  stack_.push_back(args[0]);  // a Parameter is its tensor, a Size its tuple
}

/// State of an OrderedDict: torch puts module versions there, under `_metadata`.
void PickleMachine::build() {
  const PickleNode& state = nodes_[pop()];
  const bool harmless = top().kind == Kind::kDict && state.kind == Kind::kDict && state.items.size() == 2 &&
                        nodes_[state.items[0]].text == "_metadata";
  if (!harmless) fail("sets the state of an object; only tensors and plain containers are read");
}

}  // namespace weft::io
