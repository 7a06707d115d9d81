#include "weft/model/generate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/runtime_options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "data/lines.h"
#include "io/utf8.h"
#include "weft/flow/runtime.h"

namespace weft::cli {

namespace {

struct GenerateFlags {
  RuntimeFlags runtime;
  std::vector<std::string> prompts, stops, end_tokens;
  std::string prompt_file;
  std::string max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed, batch;
  bool ignore_end = false, json = false, quiet = false;
};

/// The reader of our output has gone: nothing is left to do, and nothing is wrong.
struct OutputGone {};

void take_integer(const std::string& text, const char* option, std::int64_t& out) {
  if (text.empty()) return;
  const auto number = Value::of(text).integer();
  if (!number) throw UsageError(fmt::format("{} is '{}', expected a whole number", option, text));
  out = *number;
}

void take_number(const std::string& text, const char* option, double& out) {
  if (text.empty()) return;
  const auto number = Value::of(text).number();
  if (!number) throw UsageError(fmt::format("{} is '{}', expected a number", option, text));
  out = *number;
}

std::uint64_t seed_of_flag(const std::string& text) {
  std::int64_t seed = 0;
  take_integer(text, "--seed", seed);
  if (seed < 0) throw UsageError(fmt::format("--seed is {}, expected at least 0", seed));
  return static_cast<std::uint64_t>(seed);
}

model::GenerateOptions generate_options(const GenerateFlags& flags) {
  model::GenerateOptions o;
  if (!flags.max_new_tokens.empty()) o.max_new_tokens = positive_count(flags.max_new_tokens, "--max-new-tokens");
  take_number(flags.temperature, "--temperature", o.temperature);
  take_integer(flags.top_k, "--top-k", o.top_k);
  take_number(flags.top_p, "--top-p", o.top_p);
  take_number(flags.repetition_penalty, "--repetition-penalty", o.repetition_penalty);
  if (!flags.batch.empty()) o.batch = positive_count(flags.batch, "--batch");
  o.seed = seed_of_flag(flags.seed);
  o.stop = flags.stops;
  o.source = flags.prompt_file;
  if (flags.ignore_end && !flags.end_tokens.empty())
    throw UsageError("--ignore-end and --end-token contradict each other; give one of them");
  if (flags.ignore_end) o.end_tokens.emplace();
  return o;
}

/// A number is an id, anything else the token itself.
std::int64_t end_token_of(const std::string& text, const text::Tokenizer& tokenizer) {
  if (const auto id = Value::of(text).integer()) return *id;
  if (const auto id = tokenizer.id(text)) return *id;
  throw UsageError(fmt::format("--end-token '{}' is neither an id nor a token of {}", text, tokenizer.path().string()));
}

std::vector<std::string> prompts_of(const GenerateFlags& flags) {
  if (flags.prompts.empty() == flags.prompt_file.empty())
    throw UsageError("give either --prompt, once or more, or --prompt-file");
  for (const std::string& prompt : flags.prompts)
    if (!io::valid_utf8(prompt)) throw UsageError("--prompt is not UTF-8");
  if (flags.prompt_file.empty()) return flags.prompts;
  const data::TextFile file(flags.prompt_file);
  data::LineReader reader(file.text(), flags.prompt_file);
  std::vector<std::string> lines;
  for (std::string_view line; reader.next(line);) {
    reader.check_utf8(line);
    lines.emplace_back(line);
  }
  return lines;
}

Value generation_json(const model::Generation& generation) {
  const auto integers = [](const std::vector<std::int64_t>& ids) {
    Value list = Value::make_list();
    for (const std::int64_t id : ids) list.list.push_back(Value::of_int(id));
    return list;
  };
  Value out = Value::make_map();
  out.set("prompt_ids", integers(generation.prompt_ids));
  out.set("ids", integers(generation.ids));
  out.set("text", Value::text(generation.text));
  out.set("stop", Value::text(std::string(model::stop_name(generation.stop))));
  return out;
}

void print_generations(const std::vector<model::Generation>& all, bool json, std::ostream& out) {
  if (json && all.size() == 1) return print_json(out, generation_json(all.front()));
  Value list = Value::make_list();
  for (const model::Generation& generation : all) {
    if (json)
      list.list.push_back(generation_json(generation));
    else
      out << generation.text << "\n";
  }
  if (json) print_json(out, list);
}

/// Prints text as it comes. On a terminal nothing that a model says can move the cursor or change colours.
model::OnText streaming_to(std::ostream& out) {
  const bool terminal = &out == &std::cout && ::isatty(STDOUT_FILENO) != 0;
  return [&out, terminal](size_t, std::string_view text) {
    out << (terminal ? printable(text, true) : std::string(text)) << std::flush;
    if (!out.good()) throw OutputGone{};
  };
}

void run_generate(const GenerateFlags& flags, Session& session) {
  model::GenerateOptions options = generate_options(flags);
  const std::vector<std::string> prompts = prompts_of(flags);
  const flow::RuntimeOptions runtime_flags = runtime_options(flags.runtime);
  Console console(session, flags.quiet);
  const flow::Runtime runtime = flow::open_runtime(runtime_flags, console);
  if (!flags.end_tokens.empty()) options.end_tokens.emplace();
  for (const std::string& text : flags.end_tokens) options.end_tokens->push_back(end_token_of(text, runtime.tokenizer));
  const bool stream = !flags.json && prompts.size() == 1;
  const model::OnText on_text = stream ? streaming_to(session.out) : model::OnText();
  try {
    const auto all =
        model::generate(runtime.model, runtime.tokenizer, prompts, options, runtime.composition, on_text, console);
    if (stream)
      session.out << "\n";
    else
      print_generations(all, flags.json, session.out);
  } catch (const OutputGone&) {
    return;
  }
}

CLI::Option* add_repeated(CLI::App& command, const char* name, std::vector<std::string>& to, const char* help) {
  return command.add_option(name, to, help)->expected(1)->take_all()->allow_extra_args(false);
}

void add_sampling_flags(CLI::App& command, GenerateFlags& flags) {
  command.add_option("--max-new-tokens", flags.max_new_tokens, "most tokens to generate; default: 64")->type_name("N");
  command
      .add_option("--temperature", flags.temperature, "0: the most probable token; 1: as the model says; default: 0")
      ->type_name("T");
  command.add_option("--top-k", flags.top_k, "draw from the K most probable tokens; default: 0, from all")
      ->type_name("K");
  command
      .add_option("--top-p", flags.top_p, "draw from the most probable tokens that reach P together; default: 1, all")
      ->type_name("P");
  command
      .add_option("--repetition-penalty", flags.repetition_penalty,
                  "above 1: tokens that occurred become less probable; default: 1")
      ->type_name("R");
  add_repeated(command, "--stop", flags.stops, "stop before this text; may be repeated")->type_name("TEXT");
  add_repeated(command, "--end-token", flags.end_tokens, "id or token that ends the text, instead of the model's own")
      ->type_name("TOKEN");
  command.add_flag("--ignore-end", flags.ignore_end, "no token ends the text");
  command.add_option("--seed", flags.seed, "of the draws; default: 0")->type_name("N");
}

}  // namespace

void add_generate(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = root.add_subcommand("generate", "Continue prompts with a base model and adapters");
  add_runtime_flags(*command, flags->runtime);
  add_repeated(*command, "--prompt", flags->prompts, "text to continue; may be repeated")->type_name("TEXT");
  command->add_option("--prompt-file", flags->prompt_file, "a prompt in every line")->type_name("FILE");
  add_sampling_flags(*command, *flags);
  command->add_option("--batch", flags->batch, "prompts that run together at most; default: 16")->type_name("N");
  command->add_flag("--json", flags->json, "print JSON, described below");
  command->add_flag("-q,--quiet", flags->quiet, "no progress, no warnings");
  command->footer(
      "Prints what follows the prompt, as it comes; of several prompts one after the other, a newline after each.\n"
      "JSON: {prompt_ids, ids, text, stop}; of several prompts a list of these.\n"
      "  prompt_ids: with special tokens; ids: the new ones, an end token included; text: what they add to the "
      "prompt,\n"
      "  without special tokens and stop strings; stop: end (an end token), length, stop (a stop string)\n\n"
      "Examples:\n"
      "  weft generate --base llama --prompt 'Once upon a time' --max-new-tokens 100\n"
      "  weft generate --base llama --adapter zoo/reverse --weights 0.7 --prompt abc --temperature 0.8 --top-p 0.9 "
      "--json");
  command->callback([flags, &session] { run_generate(*flags, session); });
}

}  // namespace weft::cli
