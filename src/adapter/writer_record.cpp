#include "adapter/writer_record.h"

#include <string>

#include "io/sha256.h"
#include "io/tensor_file.h"
#include "weft/core/parallel.h"
#include "weft/core/version.h"

namespace weft::adapter {
namespace {

struct InputHashes {
  std::string config, tensors;
};

/// The config beside the tensors, if the adapter has one.
std::filesystem::path config_file(const AdapterInfo& info) {
  const std::filesystem::path path = info.tensors.parent_path() / "adapter_config.json";
  return !info.config.is_null() && std::filesystem::is_regular_file(path) ? path : std::filesystem::path();
}

Value input_record(const AdapterInfo& info, const InputHashes& hashes) {
  Value out = Value::make_map();
  out.set("name", Value::text(info.name));
  out.set("path", Value::text(info.path.generic_string()));
  if (!hashes.config.empty()) out.set("config_sha256", Value::text(hashes.config));
  out.set("tensors_sha256", Value::text(hashes.tensors));
  return out;
}

}  // namespace

Value output_record(const Value& provenance, const std::vector<Adapter>& inputs, const std::filesystem::path& tensors,
                    c10::ScalarType dtype) {
  std::vector<InputHashes> hashes(inputs.size());
  std::string output_hash;
  parallel_for(static_cast<std::int64_t>(inputs.size()) + 1, 0, [&](std::int64_t at) {
    if (at == static_cast<std::int64_t>(inputs.size())) {
      output_hash = io::sha256_file(tensors);
      return;
    }
    const AdapterInfo& info = inputs[static_cast<size_t>(at)].info();
    InputHashes& mine = hashes[static_cast<size_t>(at)];
    if (const auto config = config_file(info); !config.empty()) mine.config = io::sha256_file(config);
    mine.tensors = io::sha256_file(info.tensors);
  });
  Value record = provenance.is_map() ? provenance : Value::make_map();
  record.set("weft", Value::text(version()));
  Value list = Value::make_list();
  for (size_t i = 0; i < inputs.size(); ++i) list.list.push_back(input_record(inputs[i].info(), hashes[i]));
  record.set("inputs", std::move(list));
  Value output = Value::make_map();
  output.set("dtype", Value::text(io::dtype_name(dtype)));
  output.set("tensors_sha256", Value::text(output_hash));
  record.set("output", std::move(output));
  return record;
}

}  // namespace weft::adapter
