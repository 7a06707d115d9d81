// A recipe with `train:` into a TrainRun, and back.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "flow/dtype.h"
#include "flow/recipe_parts.h"
#include "weft/flow/train.h"

namespace weft::flow {

namespace {

void read_train_options(const Value& value, train::TrainOptions& options) {
  if (value.is_null()) return;
  if (!value.is_map())
    throw RecipeError(value.place, fmt::format("train is {}, expected a mapping of options", value.describe()));
  for (size_t i = 0; i < value.map.size(); ++i)
    train::set_option(options, value.map[i].first, value.map[i].second,
                      i < value.key_places.size() ? value.key_places[i] : value.place);
}

void read_train_output(const Value& value, const std::filesystem::path& path, TrainRun& run) {
  if (value.is_scalar()) {
    run.output = resolve_path(path, text_of(value, "output"));
    return;
  }
  recipe::MapReader reader(value, "output");
  if (const Value* where = reader.take("path")) run.output = resolve_path(path, text_of(*where, "path"));
  if (const Value* dtype = reader.take("dtype")) {
    run.dtype = text_of(*dtype, "dtype");
    check_trained_dtype(run.dtype, dtype->place);
  }
  if (const Value* force = reader.take("force")) run.force = flag_of(*force, "force");
  reader.finish();
}

void set_text(Value& map, const char* key, const std::string& text) {
  if (!text.empty()) map.set(key, Value::text(text));
}

}  // namespace

TrainRun load_train_recipe(const std::filesystem::path& path) {
  const Value root = recipe::load(path);
  if (root.is_null()) throw RecipeError({path.string(), 0, 0}, "the recipe is empty");
  TrainRun run;
  recipe::MapReader reader(root, "the recipe");
  if (const Value* base = reader.take("base_model")) run.base = resolve_path(path, text_of(*base, "base_model"));
  if (const Value* examples = reader.take("examples")) {
    ExamplesPart part = read_examples_part(*examples, path);
    run.data = std::move(part.data);
    run.form = std::move(part.form);
  }
  if (const Value* validation = reader.take("validation"))
    run.validation = resolve_path(path, text_of(*validation, "validation"));
  if (const Value* adapters = reader.take("adapters")) {
    AdaptersPart part = read_adapters_part(*adapters, path);
    run.start = std::move(part.sources);
    run.start_weights = std::move(part.weights);
  }
  const Value* options = reader.take("train");
  if (const Value* output = reader.take("output"); output != nullptr && !output->is_null())
    read_train_output(*output, path, run);
  reader.finish();  // before a missing `train` is told: it may be misspelt
  if (options == nullptr) throw RecipeError(root.place, "the recipe has no 'train'");
  read_train_options(*options, run.options);
  return run;
}

Value to_recipe(const TrainRun& run) {
  Value root = Value::make_map();
  root.set("base_model", Value::of(run.base.string()));
  Value examples = Value::make_map();
  examples.set("data", Value::of(run.data.string()));
  set_text(examples, "prompt", run.form.prompt);
  set_text(examples, "completion", run.form.completion);
  set_text(examples, "text", run.form.text);
  root.set("examples", std::move(examples));
  if (!run.validation.empty()) root.set("validation", Value::of(run.validation.string()));
  if (!run.start.empty()) root.set("adapters", to_value(AdaptersPart{run.start, run.start_weights}));
  Value options = Value::make_map();
  const Value usual = train::to_value({});
  const Value own = train::to_value(run.options);
  for (const auto& [name, value] : own.map)
    if (!value.same_as(*usual.find(name))) options.set(name, value);
  root.set("train", std::move(options));
  Value output = Value::make_map();
  if (!run.output.empty()) output.set("path", Value::of(run.output.string()));
  if (run.dtype != "float32") output.set("dtype", Value::of(run.dtype));
  if (run.force) output.set("force", Value::of(true));
  if (!output.map.empty()) root.set("output", std::move(output));
  return root;
}

}  // namespace weft::flow
