#include "weft/eval/embed.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "cli/console.h"
#include "cli/numbers.h"
#include "cli/runtime_options.h"
#include "cli/session.h"
#include "core/staged.h"
#include "io/safetensors_writer.h"
#include "weft/data/examples.h"

namespace weft::cli {

namespace {

struct EmbedFlags {
  RuntimeFlags runtime;
  std::string file, output, batch_tokens;
  bool force = false, quiet = false;
};

/// An input is never replaced, whatever it is called and whatever is forced.
void check_is_no_input(const EmbedFlags& flags, const flow::RuntimeOptions& runtime) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto refuse_if_same = [&](const fs::path& input) {
    if (fs::equivalent(input, flags.output, ignored) && !ignored)
      throw UsageError(fmt::format("{}: the output is an input; choose another name", flags.output));
  };
  const auto refuse_inside = [&](const fs::path& input) {
    refuse_if_same(input);
    std::error_code code;
    for (fs::directory_iterator it(input, code), end; !code && it != end; it.increment(code))
      refuse_if_same(it->path());
  };
  refuse_if_same(flags.file);
  refuse_inside(runtime.base);
  for (const auto& source : runtime.adapters) refuse_inside(source.path);
}

void run_embed(const EmbedFlags& flags, Session& session) {
  eval::EmbedOptions options;
  options.source = flags.file;
  if (!flags.batch_tokens.empty()) options.batch_tokens = positive_count(flags.batch_tokens, "--batch-tokens");
  const flow::RuntimeOptions runtime_flags = runtime_options(flags.runtime);
  options.threads = runtime_flags.threads;
  Console console(session, flags.quiet);
  options.log = &console;
  check_is_no_input(flags, runtime_flags);
  StagedFile staged(flags.output, flags.force);
  const std::vector<std::string> texts = data::read_lines(flags.file);
  const flow::Runtime runtime = flow::open_runtime(runtime_flags, console);
  options.max_tokens = eval::max_sequence_length(runtime_flags.base);
  const Tensor embeddings = eval::embed(runtime.model, runtime.tokenizer, texts, runtime.composition, options);
  io::SafetensorsWriter writer(staged.path(), {"embeddings"}, {{"format", "pt"}});
  writer.add("embeddings", embeddings);
  writer.finish();
  staged.commit();
  if (!flags.quiet)
    session.out << fmt::format("wrote {}: embeddings [{}, {}], float32\n", flags.output, embeddings.size(0),
                               embeddings.size(1));
}

}  // namespace

void add_embed(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<EmbedFlags>();
  CLI::App* command = root.add_subcommand("embed", "Turn texts into sentence embeddings");
  add_runtime_flags(*command, flags->runtime);
  command->add_option("--file", flags->file, "UTF-8 texts, one a line; an empty line is an empty text")
      ->required()
      ->type_name("TEXTS");
  command
      ->add_option("-o,--output", flags->output,
                   "safetensors file to write, with one tensor 'embeddings' [texts, width] in float32")
      ->required()
      ->type_name("OUT");
  command->add_option("--batch-tokens", flags->batch_tokens, "tokens that run together at most; default: 2048")
      ->type_name("N");
  command->add_flag("--force", flags->force, "replace OUT; the old one stays until the new one is whole");
  command->add_flag("-q,--quiet", flags->quiet, "no report, no progress, no warnings");
  command->footer(
      "An embedding is the mean of the last states over all tokens of a text, special ones included, normalised to\n"
      "length 1. The base is an encoder (BERT, RoBERTa, DistilBERT); texts are cut only where its\n"
      "sentence_bert_config.json has a max_seq_length, with a warning.\n\n"
      "Example:\n  weft embed --base models/all-MiniLM-L6-v2 --file texts.txt -o embeddings.safetensors");
  command->callback([flags, &session] { run_embed(*flags, session); });
}

}  // namespace weft::cli
