#include "cli/runtime_options.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cmath>
#include <limits>

#include "cli/numbers.h"
#include "cli/sources.h"
#include "weft/core/value.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

std::vector<double> weights_of(const std::string& text, size_t adapters) {
  const Value list = recipe::parse_option("[" + text + "]", "--weights");
  if (!list.is_list() || list.list.size() != adapters)
    throw UsageError(fmt::format("--weights has {} values for {} adapters; give one each, as in --weights 0.6,-0.2",
                                 list.list.size(), adapters));
  std::vector<double> out;
  for (const Value& item : list.list) {
    const auto number = item.number();
    if (!number) throw UsageError(fmt::format("--weights: {} is not a number", item.describe()));
    if (std::abs(*number) > std::numeric_limits<float>::max())
      throw UsageError(fmt::format("--weights: {} is too large for float32", *number));
    out.push_back(*number);
  }
  return out;
}

}  // namespace

void add_runtime_flags(CLI::App& command, RuntimeFlags& flags) {
  command.add_option("--base", flags.base, "folder of the base model: config.json, weights, tokenizer")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--adapter", flags.adapters,
                  "folder or file of an adapter, repeated for several, which are summed; NAME=PATH names one")
      ->type_name("PATH")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  command
      .add_option_function<std::string>(
          "--weights",
          [&flags](const std::string& text) {
            flags.weights = text;
            flags.weights_given = true;
          },
          "one number per adapter; default: 1 each")
      ->type_name("W,W,...");
  command
      .add_option("--dtype", flags.dtype,
                  "hold weights in float32, bfloat16 or float16; default: as stored. A CPU computes in float32")
      ->type_name("DTYPE");
  command.add_option("--device", flags.device, "cpu, cuda or cuda:1; default: cpu")->type_name("DEVICE");
  command.add_option("--threads", flags.threads, "threads to use; default: all processors")->type_name("N");
}

flow::RuntimeOptions runtime_options(const RuntimeFlags& flags) {
  if (flags.base.empty()) throw UsageError("--base is empty; name the folder of the base model");
  flow::RuntimeOptions out;
  out.base = flags.base;
  for (const std::string& text : flags.adapters) out.adapters.push_back(source_of(text));
  if (flags.weights_given) {
    if (flags.adapters.empty()) throw UsageError("--weights without --adapter: there is nothing to weigh");
    out.weights = weights_of(flags.weights, flags.adapters.size());
  }
  out.dtype = flags.dtype;
  out.device = flags.device;
  out.threads = thread_count(flags.threads);
  return out;
}

}  // namespace weft::cli
