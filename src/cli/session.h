#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace weft::cli {

/// What every command gets: where to print and how.
struct Session {
  std::ostream& out;
  std::ostream& err;
  bool tty = false;                    ///< `err` is a terminal
  bool color = false;                  ///< colours on `err`
  std::vector<std::string> held = {};  ///< warnings of a run that failed, printed after its error
};

/// Each adds one command; its options live as long as `root`.
void add_merge(CLI::App& root, Session& session);
void add_compose(CLI::App& root, Session& session);
void add_inspect(CLI::App& root, Session& session);
void add_methods(CLI::App& root, Session& session);
void add_eval(CLI::App& root, Session& session);
void add_embed(CLI::App& root, Session& session);
void add_generate(CLI::App& root, Session& session);
void add_tokenize(CLI::App& root, Session& session);
void add_train(CLI::App& root, Session& session);
void add_search(CLI::App& root, Session& session);

}  // namespace weft::cli
