// A recipe file into a ComposeJob: Weft's keys, and mergekit's where they mean the same.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "flow/dtype.h"
#include "flow/recipe_parts.h"
#include "weft/flow/compose.h"
#include "weft/recipe/recipe.h"

namespace weft::flow {

namespace {

namespace fs = std::filesystem;
using recipe::MapReader;

/// The value of a key that has two spellings; both at once are refused.
const Value* take_either(MapReader& reader, std::string_view key, std::string_view other) {
  const Value* first = reader.take(key);
  const Value* second = reader.take(other);
  if (first != nullptr && second != nullptr)
    throw RecipeError(second->place, fmt::format("'{}' and '{}' say the same; keep one", key, other));
  const Value* value = first != nullptr ? first : second;
  return value != nullptr && !value->is_null() ? value : nullptr;
}

Place key_place(const Value& map, size_t i) { return i < map.key_places.size() ? map.key_places[i] : map.place; }

void read_parameters(const Value& map, merge::MergeSpec& spec) {
  if (!map.is_map()) throw RecipeError(map.place, fmt::format("parameters is {}, expected a mapping", map.describe()));
  for (size_t i = 0; i < map.map.size(); ++i)
    merge::set_option(spec, map.map[i].first, map.map[i].second, key_place(map, i));
}

void read_adapter(const Value& entry, size_t index, const fs::path& path, ComposeJob& job) {
  const std::string what = fmt::format("adapters[{}]", index);
  MapReader reader(entry, what);
  const Value* where = take_either(reader, "adapter", "model");
  if (where == nullptr) throw RecipeError(entry.place, fmt::format("{} has no 'adapter'", what));
  const std::string spelled = text_of(*where, "adapter");
  if (spelled == job.base_model)
    throw RecipeError(where->place, fmt::format("'{}' is the base model; list only adapters", spelled));
  const Value* name = reader.take("name");
  const Value* parameters = reader.take("parameters");
  reader.finish();
  adapter::Pool::Source source{resolve_path(path, spelled), {}};
  if (name != nullptr && !name->is_null()) source.name = text_of(*name, "name");
  for (size_t i = 0; i < job.adapters.size() && !source.name.empty(); ++i)
    if (job.adapters[i].name == source.name)
      throw RecipeError(name->place, fmt::format("adapters[{}] is called '{}' too; names must differ", i, source.name));
  job.adapters.push_back(std::move(source));
  if (parameters == nullptr || parameters->is_null()) return;
  if (!parameters->is_map())
    throw RecipeError(parameters->place, fmt::format("parameters is {}, expected a mapping", parameters->describe()));
  for (size_t i = 0; i < parameters->map.size(); ++i)
    merge::set_adapter_option(job.spec, index, parameters->map[i].first, parameters->map[i].second,
                              key_place(*parameters, i));
}

void read_dtype(const Value& value, ComposeJob& job) {
  job.dtype = text_of(value, "dtype");
  dtype_called(job.dtype, value.place);
}

void read_output(const Value& value, const fs::path& path, ComposeJob& job) {
  if (value.is_scalar()) {
    job.output = resolve_path(path, text_of(value, "output"));
    return;
  }
  MapReader reader(value, "output");
  if (const Value* where = reader.take("path")) job.output = resolve_path(path, text_of(*where, "path"));
  if (const Value* format = reader.take("format"); format != nullptr && text_of(*format, "format") != "peft")
    throw RecipeError(format->place, fmt::format("format is {}, expected 'peft'", format->describe()));
  if (const Value* dtype = reader.take("dtype")) {
    if (!job.dtype.empty()) throw RecipeError(dtype->place, "dtype is said twice; keep the one under 'output'");
    read_dtype(*dtype, job);
  }
  if (const Value* force = reader.take("force")) job.force = flag_of(*force, "force");
  reader.finish();
}

/// mergekit keys that cannot mean anything for adapters, each with the way out.
void refuse_foreign_keys(const Value& root) {
  static const std::vector<std::pair<std::string, std::string>> kForeign = {
      {"slices", "layers of adapters cannot be restacked; use 'adapters' with layer gradients"},
      {"modules", "list the adapters under 'adapters', and use filters for single modules"},
      {"tokenizer_source", "an adapter has no tokenizer; remove it"},
      {"tokenizer", "an adapter has no tokenizer; remove it"},
      {"chat_template", "an adapter has no chat template; remove it"},
  };
  for (const auto& [key, way_out] : kForeign)
    for (size_t i = 0; i < root.map.size(); ++i)
      if (root.map[i].first == key)
        throw RecipeError(key_place(root, i), fmt::format("'{}' is for whole models: {}", key, way_out));
}

/// What a mergekit user would not expect; said once, only if the recipe is spelled as theirs.
void remark_on_mergekit(const Value& root, ComposeJob& job) {
  if (root.find("merge_method") == nullptr) return;
  const Value* parameters = root.find("parameters");
  const auto says = [&](std::string_view key) { return parameters != nullptr && parameters->find(key) != nullptr; };
  const std::string& method = job.spec.method;
  if ((method == "linear" || method == "ties") && !says("normalize"))
    job.warnings.push_back(
        fmt::format("mergekit's {} normalises by the weights unless told otherwise, Weft's does not; say 'normalize: "
                    "true' or 'normalize: false'",
                    method));
  if ((method == "ties" || method == "dare_ties") && !says("vote"))
    job.warnings.push_back(
        fmt::format("{} elects signs without weights, as PEFT does; mergekit's rule is 'vote: weighted' with 'divisor: "
                    "weight'",
                    method));
}

}  // namespace

ComposeJob load_recipe(const fs::path& path) {
  const Value root = recipe::load(path);
  if (root.is_null()) throw RecipeError({path.string(), 0, 0}, "the recipe is empty");
  ComposeJob job;
  job.recipe = path.string();
  MapReader reader(root, "the recipe");
  refuse_foreign_keys(root);

  job.base_model = reader.take_text("base_model", "");
  const Value* adapters = take_either(reader, "adapters", "models");
  const Value* method = take_either(reader, "method", "merge_method");
  const Value* parameters = reader.take("parameters");
  const Value* output = reader.take("output");
  const Value* dtype = take_either(reader, "dtype", "out_dtype");
  reader.finish();

  if (method == nullptr) throw RecipeError(root.place, "the recipe has no 'method'; weft methods lists them");
  job.spec = merge::find_method(text_of(*method, "method"), method->place).spec;
  if (parameters != nullptr && !parameters->is_null()) read_parameters(*parameters, job.spec);

  if (adapters == nullptr) throw RecipeError(root.place, "the recipe has no 'adapters'");
  if (!adapters->is_list() || adapters->list.empty())
    throw RecipeError(adapters->place,
                      fmt::format("adapters is {}, expected a list of '- adapter: PATH'",
                                  adapters->list.empty() && adapters->is_list() ? "empty" : adapters->describe()));
  for (size_t i = 0; i < adapters->list.size(); ++i) read_adapter(adapters->list[i], i, path, job);

  if (dtype != nullptr) read_dtype(*dtype, job);
  if (output != nullptr && !output->is_null()) read_output(*output, path, job);
  const fs::path base = resolve_path(path, job.base_model);
  std::error_code ignored;
  if (!job.base_model.empty() && fs::exists(base, ignored)) job.base_model = base.string();
  remark_on_mergekit(root, job);
  return job;
}

}  // namespace weft::flow
