// A recipe with `search:` or `method: search | lorahub` into a SearchJob, and back.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "flow/dtype.h"
#include "flow/recipe_parts.h"
#include "flow/search_values.h"
#include "weft/eval/options.h"
#include "weft/flow/search.h"

namespace weft::flow {

namespace {

void read_search_method(const Value& value, SearchJob& job) {
  const std::string name = text_of(value, "method");
  if (name == "lorahub")
    set_lorahub(job.options);
  else if (name != "search")
    throw RecipeError(value.place,
                      fmt::format("method '{}' is no search{}", name, suggestion(name, {"search", "lorahub"})));
}

void read_search_options(const Value& value, const std::filesystem::path& recipe, SearchOptions& options) {
  if (value.is_null()) return;
  if (!value.is_map())
    throw RecipeError(value.place, fmt::format("search is {}, expected a mapping of options", value.describe()));
  for (size_t i = 0; i < value.map.size(); ++i)
    set_search_option(options, value.map[i].first, value.map[i].second,
                      i < value.key_places.size() ? value.key_places[i] : value.place);
  for (std::filesystem::path* path : {&options.held_out, &options.samples, &options.encoder})
    if (!path->empty()) *path = resolve_path(recipe, path->string());
}

std::int64_t search_rank_of(const Value& value) {
  if (value.is_scalar() && value.scalar == "exact") return 0;
  const auto rank = value.integer();
  if (!rank || *rank < 1)
    throw RecipeError(value.place,
                      fmt::format("rank is {}, expected 'exact' or a whole number, at least 1", value.describe()));
  return *rank;
}

void read_search_output(const Value& value, const std::filesystem::path& path, SearchJob& job) {
  if (value.is_scalar()) {
    job.output = resolve_path(path, text_of(value, "output"));
    return;
  }
  recipe::MapReader reader(value, "output");
  if (const Value* where = reader.take("path")) job.output = resolve_path(path, text_of(*where, "path"));
  if (const Value* dtype = reader.take("dtype")) {
    job.dtype = text_of(*dtype, "dtype");
    dtype_called(job.dtype, dtype->place);
  }
  if (const Value* rank = reader.take("rank")) job.rank = search_rank_of(*rank);
  if (const Value* force = reader.take("force")) job.force = flag_of(*force, "force");
  reader.finish();
}

void read_search_pool(recipe::MapReader& reader, const std::filesystem::path& path, SearchJob& job) {
  const Value* pool = reader.take("pool");
  const Value* adapters = reader.take("adapters");
  if (pool != nullptr && adapters != nullptr)
    throw RecipeError(pool->place, "the recipe has both 'pool' and 'adapters'; name the adapters in one way");
  if (pool != nullptr) job.runtime.adapters = pool_folder(resolve_path(path, text_of(*pool, "pool")));
  if (adapters == nullptr) return;
  AdaptersPart part = read_adapters_part(*adapters, path);
  for (size_t i = 0; i < part.sources.size(); ++i)
    if (const Value* given = adapters->list[i].find("parameters"); given != nullptr && !given->is_null())
      throw RecipeError(given->place, "a search finds the weights; set first ones as 'start', others as 'fixed'");
  job.runtime.adapters = std::move(part.sources);
}

void set_search_text(Value& map, const char* key, const std::string& text) {
  if (!text.empty()) map.set(key, Value::text(text));
}

/// The scoring options that differ from the usual ones.
void put_scoring_options(const eval::EvalOptions& options, Value& out) {
  const eval::EvalOptions usual;
  const auto list = [](const std::vector<std::string>& texts) {
    Value value = Value::make_list();
    for (const std::string& text : texts) value.list.push_back(Value::text(text));
    return value;
  };
  if (options.temperature != usual.temperature) out.set("temperature", Value::of(options.temperature));
  if (options.label_template != usual.label_template) out.set("label_template", Value::text(options.label_template));
  if (options.labels != usual.labels) out.set("labels", list(options.labels));
  if (options.max_tokens != usual.max_tokens) out.set("max_tokens", Value::of_int(options.max_tokens));
  if (options.max_new_tokens != usual.max_new_tokens) out.set("max_new_tokens", Value::of_int(options.max_new_tokens));
  if (options.stop != usual.stop) out.set("stop", list(options.stop));
  if (options.batch_tokens != usual.batch_tokens) out.set("batch_tokens", Value::of_int(options.batch_tokens));
}

Value search_part(const SearchOptions& options) {
  Value out = Value::make_map();
  const SearchOptions usual;
  for (const SearchOption& option : search_options()) {
    Value value = option.get(options);
    if (!value.same_as(option.get(usual))) out.set(option.field.name, std::move(value));
  }
  put_scoring_options(options.objective.eval, out);
  return out;
}

}  // namespace

std::vector<adapter::Pool::Source> pool_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::directory_iterator entries(folder, failed);
  if (failed)
    throw InputError(fmt::format("{}: cannot read this folder of adapters: {}", folder.string(), failed.message()));
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    std::error_code ignored;
    if (entry.path().filename().string().front() == '.') continue;  // what a run that was killed has left
    if (entry.is_directory(ignored) && std::filesystem::exists(entry.path() / "adapter_config.json", ignored))
      names.push_back(entry.path().filename().string());
  }
  if (names.empty())
    throw InputError(fmt::format("{}: no folder in it holds an adapter (adapter_config.json)", folder.string()));
  std::sort(names.begin(), names.end());
  std::vector<adapter::Pool::Source> out;
  for (const std::string& name : names) out.push_back({folder / name, name});
  return out;
}

SearchJob load_search_recipe(const std::filesystem::path& path) {
  const Value root = recipe::load(path);
  if (root.is_null()) throw RecipeError({path.string(), 0, 0}, "the recipe is empty");
  SearchJob job;
  recipe::MapReader reader(root, "the recipe");
  if (const Value* base = reader.take("base_model"))
    job.runtime.base = resolve_path(path, text_of(*base, "base_model"));
  const Value* method = reader.take("method");
  const Value* options = reader.take("search");
  read_search_pool(reader, path, job);
  if (const Value* examples = reader.take("examples")) {
    ExamplesPart part = read_examples_part(*examples, path);
    job.data = std::move(part.data);
    job.reading.form = std::move(part.form);
  }
  if (const Value* output = reader.take("output"); output != nullptr && !output->is_null())
    read_search_output(*output, path, job);
  reader.finish();  // before a missing part is told: it may be misspelt
  if (method == nullptr && options == nullptr)
    throw RecipeError(root.place, "the recipe has neither 'search' nor 'method: search'");
  if (method != nullptr) read_search_method(*method, job);
  if (options != nullptr) read_search_options(*options, path, job.options);
  return job;
}

Value to_recipe(const SearchJob& job) {
  Value root = Value::make_map();
  root.set("base_model", Value::of(job.runtime.base.string()));
  root.set("adapters", to_value(AdaptersPart{job.runtime.adapters, {}}));
  root.set("method", Value::of(std::string("search")));
  Value examples = Value::make_map();
  examples.set("data", Value::of(job.data.string()));
  set_search_text(examples, "prompt", job.reading.form.prompt);
  set_search_text(examples, "completion", job.reading.form.completion);
  set_search_text(examples, "text", job.reading.form.text);
  root.set("examples", std::move(examples));
  root.set("search", search_part(job.options));
  Value output = Value::make_map();
  if (!job.output.empty()) output.set("path", Value::of(job.output.string()));
  if (!job.dtype.empty()) output.set("dtype", Value::of(job.dtype));
  if (job.rank > 0) output.set("rank", Value::of_int(job.rank));
  if (job.force) output.set("force", Value::of(true));
  if (!output.map.empty()) root.set("output", std::move(output));
  return root;
}

}  // namespace weft::flow
