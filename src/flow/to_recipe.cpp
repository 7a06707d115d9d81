#include <utility>

#include "weft/flow/compose.h"

namespace weft::flow {

namespace {

Value output_of(const ComposeJob& job) {
  Value output = Value::make_map();
  if (!job.output.empty()) output.set("path", Value::of(job.output.string()));
  if (!job.dtype.empty()) output.set("dtype", Value::of(job.dtype));
  if (job.force) output.set("force", Value::of(true));
  return output;
}

Value adapter_of(const ComposeJob& job, size_t index) {
  Value entry = Value::make_map();
  entry.set("adapter", Value::of(job.adapters[index].path.string()));
  if (!job.adapters[index].name.empty()) entry.set("name", Value::of(job.adapters[index].name));
  Value parameters = merge::adapter_options_of(job.spec, index);
  if (!parameters.map.empty()) entry.set("parameters", std::move(parameters));
  return entry;
}

}  // namespace

Value to_recipe(const ComposeJob& job) {
  Value root = Value::make_map();
  if (!job.base_model.empty()) root.set("base_model", Value::of(job.base_model));
  Value adapters = Value::make_list();
  for (size_t i = 0; i < job.adapters.size(); ++i) adapters.list.push_back(adapter_of(job, i));
  root.set("adapters", std::move(adapters));
  root.set("method", Value::of(job.spec.method));
  Value parameters = merge::options_of(job.spec);
  if (!parameters.map.empty()) root.set("parameters", std::move(parameters));
  Value output = output_of(job);
  if (!output.map.empty()) root.set("output", std::move(output));
  return root;
}

}  // namespace weft::flow
