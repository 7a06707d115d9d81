#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/session.h"
#include "io/utf8.h"
#include "weft/data/examples.h"
#include "weft/text/tokenizer.h"

namespace weft::cli {

namespace {

struct TokenizeFlags {
  std::string base, text, file, threads;
  CLI::Option* text_given = nullptr;  ///< tells `--text ''` from no text
  bool json = false, plain = false;
};

std::vector<std::string> texts_of(const TokenizeFlags& flags) {
  const bool given = flags.text_given->count() > 0;
  if (given == !flags.file.empty())
    throw UsageError(given ? "--text and --file both say what to tokenize; give one of them"
                           : "nothing to tokenize; give --text TEXT or --file FILE");
  if (!given) return data::read_lines(flags.file);
  if (!io::valid_utf8(flags.text)) throw UsageError("--text is not UTF-8");
  return {flags.text};
}

Value tokenized_json(const text::Tokenizer& tokenizer, const std::vector<std::int64_t>& ids) {
  Value id_list = Value::make_list(), tokens = Value::make_list();
  for (const std::int64_t id : ids) {
    id_list.list.push_back(Value::of_int(id));
    tokens.list.push_back(Value::text(tokenizer.token(id)));
  }
  Value out = Value::make_map();
  out.set("ids", std::move(id_list));
  out.set("tokens", std::move(tokens));
  return out;
}

void run_tokenize(const TokenizeFlags& flags, Session& session) {
  if (flags.base.empty()) throw UsageError("--base is empty; name a folder with a tokenizer");
  const std::vector<std::string> texts = texts_of(flags);
  const int threads = thread_count(flags.threads);
  const text::Tokenizer tokenizer = text::Tokenizer::open(flags.base);
  const auto encoded = tokenizer.encode_all(texts, !flags.plain, threads);
  if (!flags.json) {
    for (const std::vector<std::int64_t>& ids : encoded) session.out << fmt::format("{}\n", fmt::join(ids, " "));
    return;
  }
  Value list = Value::make_list();
  for (const std::vector<std::int64_t>& ids : encoded) list.list.push_back(tokenized_json(tokenizer, ids));
  Value out = Value::make_map();
  out.set("texts", std::move(list));
  print_json(session.out, out);
}

}  // namespace

void add_tokenize(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* command = root.add_subcommand("tokenize", "Turn texts into token ids");
  command
      ->add_option("--base", flags->base,
                   "folder with a tokenizer (tokenizer.json, vocab.json and merges.txt, vocab.txt or a SentencePiece "
                   ".model), or such a file")
      ->required()
      ->type_name("DIR");
  flags->text_given = command->add_option("--text", flags->text, "one text")->type_name("TEXT");
  command->add_option("--file", flags->file, "UTF-8 texts, one a line; an empty line is an empty text")
      ->type_name("FILE");
  command->add_flag("--no-special-tokens", flags->plain, "leave out the start and end tokens that are added to a text");
  command->add_option("--threads", flags->threads, "threads to use; default: all processors")->type_name("N");
  command->add_flag("--json", flags->json, "ids and tokens as JSON, described below");
  command->footer(
      "Prints a line of ids per text. Special tokens that a text spells out are recognised either way.\n\n"
      "JSON: {texts: [{ids, tokens}]}, tokens as the vocabulary spells them.\n\n"
      "Example:\n  weft tokenize --base models/gpt2 --text \"Hello, world!\" --json");
  command->callback([flags, &session] { run_tokenize(*flags, session); });
}

}  // namespace weft::cli
