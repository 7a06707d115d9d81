#include "weft/adapter/writer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "adapter/output_place.h"
#include "adapter/writer_check.h"
#include "adapter/writer_config.h"
#include "adapter/writer_layout.h"
#include "adapter/writer_record.h"
#include "core/staged.h"
#include "io/json.h"
#include "io/safetensors_writer.h"
#include "io/tensor_file.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

constexpr const char* kTensorsFile = "adapter_model.safetensors";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kRecordFile = "weft.json";
constexpr const char* kKeyPrefix = "base_model.model.";

void refuse_input_as_output(const std::filesystem::path& out, const std::vector<Adapter>& inputs) {
  for (const Adapter& adapter : inputs)
    for (const auto& path : {adapter.info().path, adapter.info().tensors})
      if (!path.empty() && would_replace(out, path))
        throw UsageError(fmt::format("{}: the output would replace the input '{}' ({}); choose another output",
                                     out.string(), adapter.info().name, path.string()));
}

void check_output_dtype(c10::ScalarType dtype) {
  for (const auto allowed :
       {c10::ScalarType::Float, c10::ScalarType::Half, c10::ScalarType::BFloat16, c10::ScalarType::Double})
    if (dtype == allowed) return;
  throw UsageError(fmt::format("cannot write an adapter in {}; expected float32, float16, bfloat16 or float64",
                               io::dtype_name(dtype)));
}

void write_json(const std::filesystem::path& path, const Value& value) { write_file(path, io::to_json(value) + "\n"); }

}  // namespace

struct AdapterWriter::State {
  State(const std::filesystem::path& destination, const Pool& pool, const WriteOptions& write_options)
      : inputs(pool.adapters()), options(write_options), staged(destination, write_options.force) {
    for (const PoolModule& module : pool.modules()) known.push_back(module.info);
    const std::vector<std::string> paths = wrapped_paths(known, expert_order(inputs));
    for (size_t i = 0; i < known.size(); ++i) place.emplace(known[i].name, paths[i]);
    for (const PoolTensor& tensor : pool.full_tensors()) full_known.push_back(tensor.info);
  }

  /// Key of a full tensor in this output: PEFT puts `base_layer` before the parameters of a module it wraps.
  std::string full_key(const FullTensor& info) const {
    const size_t dot = info.name.rfind('.');
    if (info.kind == FullTensor::Kind::kOther || dot == std::string::npos) return info.key;
    const std::string holder = info.name.substr(0, dot);
    if (info.kind == FullTensor::Kind::kTokenRows) return kKeyPrefix + holder + ".token_adapter.trainable_tokens_delta";
    return kKeyPrefix + holder + (place.count(holder) != 0 ? ".base_layer" : "") + info.name.substr(dot);
  }

  /// PEFT either replaces a module or updates it with factors.
  void refuse_saved_target(const FullTensor& info) const {
    const std::string holder = info.name.substr(0, info.name.rfind('.'));
    if (info.kind == FullTensor::Kind::kTokenRows && place.count(holder) != 0)
      throw UnsupportedError(fmt::format(
          "{} replaces rows of {}, but another adapter updates {} with factors; PEFT can do only one of both, so leave "
          "one out (full_tensors: drop)",
          info.key, holder, holder));
    for (const std::string& entry : saving_entries(inputs, info.name))
      for (const ModuleInfo& module : known) {
        const std::vector<std::string> same = saving_entries(inputs, module.name);
        if (std::find(same.begin(), same.end(), entry) != same.end())
          throw UnsupportedError(fmt::format(
              "{} belongs to '{}' of modules_to_save, but another adapter updates module {} with factors; PEFT can do "
              "only one of both, so leave one out (full_tensors: drop)",
              info.key, entry, module.name));
      }
  }

  void note_giver(const std::string& owner) {
    for (const Adapter& adapter : inputs) {
      const auto same = [&](const Adapter& other) { return other.info().name == adapter.info().name; };
      if ((owner.empty() || adapter.info().name == owner) && std::none_of(givers.begin(), givers.end(), same))
        givers.push_back(adapter);
    }
  }

  /// The tensor file, begun with every name that may come.
  io::SafetensorsWriter& file() {
    if (tensors) return *tensors;
    std::vector<std::string> names;
    bool biased = false;
    for (const ModuleInfo& module : known) biased = biased || module.has_bias;
    for (const ModuleInfo& module : known) {
      const WrittenKeys keys = written_keys(module.layer, place.at(module.name));
      names.insert(names.end(), {keys.a, keys.b});
      if (biased) names.push_back(keys.bias);
    }
    for (const FullTensor& tensor : full_known) names.push_back(full_key(tensor));
    return begin_file(names);
  }

  io::SafetensorsWriter& begin_file(const std::vector<std::string>& names) {
    tensors = std::make_unique<io::SafetensorsWriter>(
        staged.path() / kTensorsFile, names, std::vector<std::pair<std::string, std::string>>{{"format", "pt"}});
    return *tensors;
  }

  void put(const std::string& key, const Tensor& tensor) {
    if (!written.emplace(key, describe_written(tensor)).second)
      throw UsageError(fmt::format("{}: tensor {} was added twice", kTensorsFile, key));
    file().add(key, tensor);
  }

  /// PEFT expects a bias everywhere once one module has one.
  void complete_biases() {
    bool any = false;
    for (const WrittenModule& module : modules) any = any || module.has_bias;
    if (!any) return;
    for (const WrittenModule& module : modules)
      if (!module.has_bias)
        put(written_keys(module.info.layer, place.at(module.info.name)).bias,
            at::zeros({module.info.out}, at::TensorOptions().dtype(options.dtype)));
  }

  std::vector<Adapter> inputs;
  WriteOptions options;
  StagedFolder staged;
  std::vector<ModuleInfo> known;                       // what the pool says may come
  std::unordered_map<std::string, std::string> place;  // module name -> path in the wrapped model
  std::vector<FullTensor> full_known, full;
  std::vector<Adapter> givers;  // whose full tensors were added
  std::vector<WrittenModule> modules;
  std::map<std::string, WrittenTensor> written;
  std::unique_ptr<io::SafetensorsWriter> tensors;
  std::optional<Adapter> carried;
};

AdapterWriter::AdapterWriter(const std::filesystem::path& out, const Pool& pool, const WriteOptions& options) {
  check_output_dtype(options.dtype);
  refuse_input_as_output(out, pool.adapters());
  state_ = std::make_unique<State>(out, pool, options);
}

AdapterWriter::~AdapterWriter() = default;
AdapterWriter::AdapterWriter(AdapterWriter&&) noexcept = default;

void AdapterWriter::add(const ModuleInfo& module, const std::vector<LowRank>& blocks, const Tensor& bias) {
  State& s = *state_;
  if (s.carried) throw UsageError("nothing can be added beside an adapter that is carried over whole");
  const auto at = s.place.find(module.name);
  if (at == s.place.end()) throw UsageError(fmt::format("module {}: no adapter of the pool has it", module.name));
  const ModuleLayout layout = lay_out(module, blocks, bias, s.options.dtype);
  const WrittenKeys keys = written_keys(module.layer, at->second);
  s.put(keys.a, layout.a);
  s.put(keys.b, layout.b);
  if (layout.bias.defined()) s.put(keys.bias, layout.bias);
  s.modules.push_back({module, layout.rank, layout.bias.defined()});
}

void AdapterWriter::add_full(const FullTensor& info, const Tensor& tensor, const std::string& owner) {
  State& s = *state_;
  if (s.carried) throw UsageError("nothing can be added beside an adapter that is carried over whole");
  s.refuse_saved_target(info);
  // A mean is computed in another dtype than it was stored in; everything else keeps its own.
  const bool mean = tensor.scalar_type() != info.dtype;
  s.put(s.full_key(info), cast_checked(tensor, mean ? s.options.dtype : info.dtype, info.key));
  s.full.push_back(info);
  s.note_giver(owner);
}

void AdapterWriter::carry(const Adapter& adapter) {
  State& s = *state_;
  if (s.carried || !s.written.empty()) throw UsageError("an adapter can only be carried over into an empty output");
  if (adapter.info().format != "peft")
    throw UsageError(
        fmt::format("adapter '{}' is stored in the {} layout, which cannot be carried over as it is; its "
                    "modules can be added one by one",
                    adapter.info().name, adapter.info().format));
  s.carried = adapter;
  const auto source = io::open_tensor_file(adapter.info().tensors);
  const std::vector<std::string> keys = adapter.keys();
  s.begin_file(keys);
  for (const std::string& key : keys) {
    const Tensor tensor = source->load(key);
    const bool cast = !s.options.keep_dtypes && tensor.is_floating_point();
    s.put(key, cast_checked(tensor, cast ? s.options.dtype : tensor.scalar_type(),
                            fmt::format("{}: tensor '{}'", adapter.info().tensors.string(), key)));
    source->release(key);
  }
}

void AdapterWriter::finish(const Value& provenance) {
  State& s = *state_;
  if (s.written.empty()) throw UsageError("an adapter without any tensor cannot be written");
  if (!s.carried) s.complete_biases();
  const std::filesystem::path folder = s.staged.path();
  const Value config =
      s.carried ? sorted_config(s.carried->info().config) : output_config(s.inputs, s.modules, s.full, s.givers);
  s.tensors->finish();
  write_json(folder / kConfigFile, config);
  check_tensors(folder / kTensorsFile, s.written);
  if (s.carried)
    check_carried(folder, *s.carried);
  else
    check_modules(folder, s.modules);
  write_json(folder / kRecordFile, output_record(provenance, s.inputs, folder / kTensorsFile, s.options.dtype));
  s.staged.commit();
}

std::int64_t AdapterWriter::bytes() const { return state_->tensors ? state_->tensors->bytes() : 0; }

}  // namespace weft::adapter
