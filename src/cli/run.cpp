#include "cli/run.h"

#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "cli/console.h"
#include "cli/session.h"
#include "weft/core/error.h"
#include "weft/core/parallel.h"
#include "weft/core/value.h"
#include "weft/core/version.h"

namespace weft::cli {

namespace {

constexpr int kFailed = 1, kWrongUsage = 2, kBadInput = 3;

std::string version_text() {
  return fmt::format("weft {}\nlibtorch {}\nbuild {}\nthreads {}", version(), torch_version(), build_type(),
                     default_threads());
}

int exit_code(Blame blame) {
  switch (blame) {
    case Blame::kUsage: return kWrongUsage;
    case Blame::kInput: return kBadInput;
    case Blame::kSystem: return kFailed;
  }
  return kFailed;
}

bool takes_signed(const std::string& option) {
  for (const char* name : {"--weights", "--lower", "--upper", "--start"})
    if (option == name) return true;
  return false;
}

/// `--weights -0.5,1` is a value, not an option: it is joined to its option before parsing. Reversed, as CLI11 wants.
/// @throws UsageError on `--option=`, which CLI11 would complete with the next argument.
std::vector<std::string> arguments_of(int argc, const char* const* argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    if (text.starts_with("--") && text.find('=') == text.size() - 1)
      throw UsageError(fmt::format("'{}' has no value", text));
    const bool negative =
        text.size() > 1 && text[0] == '-' && (std::isdigit(static_cast<unsigned char>(text[1])) != 0 || text[1] == '.');
    if (negative && !out.empty() && takes_signed(out.back()))
      out.back() += "=" + text;
    else
      out.push_back(text);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

/// The command that was being parsed, or the root.
const CLI::App& parsed_command(const CLI::App& root) {
  const auto chosen = root.get_subcommands();
  return chosen.empty() ? root : *chosen.front();
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& root) {
  std::vector<std::string> names;
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// One line for what CLI11 refused, with the nearest valid word.
std::string usage_text(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& command = parsed_command(root);
  const std::string help = &command == &root ? "weft --help" : "weft " + command.get_name() + " --help";
  const std::vector<std::string> rest = root.remaining(true);
  if (!rest.empty() && rest.front().starts_with("-")) {
    const std::string word = rest.front().substr(0, rest.front().find('='));
    const std::string near = nearest(word, option_names(command));
    return fmt::format("unknown option '{}'{}", word,
                       near.empty() ? "; see " + help : fmt::format("; did you mean '{}'?", near));
  }
  if (&command == &root && !rest.empty())
    return fmt::format("unknown command '{}'{}", rest.front(), suggestion(rest.front(), command_names(root)));
  if (!rest.empty()) return fmt::format("unexpected argument '{}'; see {}", rest.front(), help);
  if (&command == &root)
    return fmt::format("no command given; expected one of {} (see {})", fmt::join(command_names(root), ", "), help);
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const size_t twice = text.find(": At Most 1 required but received");
  if (twice != std::string::npos) text = text.substr(0, twice) + " is given more than once";
  return fmt::format("{}; see {}", text, help);
}

void build_program(CLI::App& root, Session& session) {
  root.name("weft");
  root.set_version_flag("--version", version_text, "versions of Weft and libtorch, build type, threads");
  root.require_subcommand(1);
  root.footer(
      "Examples:\n"
      "  weft merge zoo/reverse zoo/quote --method ties --weights 0.6,0.4 -o out/ties\n"
      "  weft compose recipes/ties.yaml -o out/ties\n"
      "  weft inspect out/ties\n"
      "  weft search --base models/llama --pool zoo --examples few.jsonl --budget 40 -o out/found\n"
      "  weft eval --base models/llama --adapter out/ties --data test.jsonl\n\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 bad input file.");
  add_merge(root, session);
  add_compose(root, session);
  add_inspect(root, session);
  add_methods(root, session);
  add_eval(root, session);
  add_embed(root, session);
  add_generate(root, session);
  add_tokenize(root, session);
  add_train(root, session);
  add_search(root, session);
}

/// The error first, then what the run had warned of. Returns `code`.
int report_failure(Session& session, int code, const std::string& text) {
  print_error(session, text);
  for (const std::string& warning : session.held) print_warning(session, warning);
  return code;
}

/// What to lower, by command.
std::string out_of_memory_text(const CLI::App& root) {
  const std::string name = parsed_command(root).get_name();
  if (name == "merge" || name == "compose") return "out of memory; --memory 512MiB bounds what a merge works with";
  if (name == "eval" || name == "embed")
    return "out of memory; lower --batch-tokens, shorten the longest examples, or hold the weights with --dtype "
           "bfloat16";
  if (name == "search")
    return "out of memory; lower --population-tokens or --jobs, shorten the longest examples, or hold the base with "
           "--base-dtype bfloat16";
  if (name == "train")
    return "out of memory; lower --batch (and raise --accumulate), or cut long examples with --max-tokens";
  if (name == "generate")
    return "out of memory; lower --batch or --max-new-tokens, or hold the weights with --dtype bfloat16";
  return "out of memory";
}

/// libtorch's own words when an allocation fails, on the processor and on a device.
bool is_out_of_memory(const std::string& text) {
  for (const char* words : {"can't allocate memory", "not enough memory", "out of memory"})
    if (text.find(words) != std::string::npos) return true;
  return false;
}

std::string first_line(std::string text) { return text.substr(0, text.find('\n')); }

}  // namespace

int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool tty) {
  // libtorch aborts where its allocator fails, unless told to throw.
  FLAGS_caffe2_use_fatal_for_enforce = false;
  const char* no_color = std::getenv("NO_COLOR");
  Session session{out, err, tty, tty && (no_color == nullptr || *no_color == '\0')};
  CLI::App root("Weaves trained LoRA adapters into one, and runs models with them.");
  try {
    build_program(root, session);
    root.parse(arguments_of(argc, argv));
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error, out, err);
    return report_failure(session, kWrongUsage, usage_text(root, error));
  } catch (const Error& error) {
    return report_failure(session, exit_code(error.blame()), error.what());
  } catch (const std::system_error& error) {
    return report_failure(session, kFailed, fmt::format("the system refused: {}", first_line(error.what())));
  } catch (const std::bad_alloc&) {
    return report_failure(session, kFailed, out_of_memory_text(root));
  } catch (const std::exception& error) {
    const std::string text = first_line(error.what());
    return report_failure(session, kFailed, is_out_of_memory(text) ? out_of_memory_text(root) : text);
  }
}

}  // namespace weft::cli
