// A recipe file with `examples` and `eval` into an EvaluateJob.
#include <fmt/format.h>

#include <utility>

#include "flow/recipe_parts.h"
#include "weft/eval/options.h"
#include "weft/flow/evaluate.h"
#include "weft/recipe/recipe.h"

namespace weft::flow {

namespace {

void read_eval_part(const Value& value, eval::EvalOptions& options) {
  if (!value.is_map()) throw RecipeError(value.place, fmt::format("eval is {}, expected a mapping", value.describe()));
  for (size_t i = 0; i < value.map.size(); ++i)
    eval::set_option(options, value.map[i].first, value.map[i].second,
                     i < value.key_places.size() ? value.key_places[i] : value.place);
}

}  // namespace

EvaluateJob load_evaluate_recipe(const std::filesystem::path& path) {
  const Value root = recipe::load(path);
  if (root.is_null()) throw RecipeError({path.string(), 0, 0}, "the recipe is empty");
  recipe::MapReader reader(root, "the recipe");
  const Value* base = reader.take("base_model");
  const Value* adapters = reader.take("adapters");
  const Value* examples = reader.take("examples");
  const Value* options = reader.take("eval");
  reader.finish();
  const auto given = [](const Value* value) { return value != nullptr && !value->is_null(); };

  EvaluateJob job;
  if (given(base)) job.runtime.base = resolve_path(path, text_of(*base, "base_model"));
  if (given(adapters)) {
    AdaptersPart part = read_adapters_part(*adapters, path);
    job.runtime.adapters = std::move(part.sources);
    job.runtime.weights = std::move(part.weights);
  }
  if (given(examples)) {
    ExamplesPart part = read_examples_part(*examples, path);
    job.data = std::move(part.data);
    job.reading.form = std::move(part.form);
  }
  if (given(options)) read_eval_part(*options, job.options);
  return job;
}

}  // namespace weft::flow
