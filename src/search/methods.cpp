// The table of methods: rows only.
#include "search/methods/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "weft/core/value.h"

namespace weft::search {

namespace {

template <EngineMaker maker>
std::unique_ptr<Optimizer> driven(const Problem& problem, const OptimizerOptions& options) {
  return drive(problem, options, maker);
}

template <EngineMaker maker>
Method row(const char* name, const char* doc, const char* source) {
  Method method;
  method.name = name;
  method.doc = doc;
  method.source = source;
  method.make = driven<maker>;
  return method;
}

std::vector<Method> make_rows() {
  constexpr const char* kTutorial = "Hansen 2016, arXiv:1604.00772";
  constexpr const char* kNlopt = "NLopt";
  std::vector<Method> rows = {
      row<make_auto>("auto", "chooses among the others by dimension and budget", "Weft"),
      row<make_screened>(
          "screened",
          "scores every ingredient alone and sums of promising pairs, then CMA-ES from the best; assumes "
          "that few ingredients matter",
          "Weft"),
      row<make_cma_es>("cma_es", "CMA-ES with a full covariance matrix", kTutorial),
      row<make_active_cma_es>("active_cma_es", "CMA-ES that also learns from the worse half of a generation",
                              kTutorial),
      row<make_sep_cma_es>("sep_cma_es", "CMA-ES with a diagonal covariance matrix, for many weights",
                           "Ros and Hansen 2008, doi:10.1007/978-3-540-87700-4_30"),
      row<make_lorahub>("lorahub", "what LoRAHub runs: COBYLA as nevergrad's NGOpt calls it",
                        "Huang et al. 2023, arXiv:2307.13269; nevergrad 1.0.12"),
      row<make_one_plus_one>("one_plus_one", "(1+1)-ES with the 1/5 success rule", "Rechenberg 1973"),
      row<make_differential_evolution>("differential_evolution", "differential evolution, current-to-best/1/bin",
                                       "Storn and Price 1997, doi:10.1023/A:1008202821328"),
      row<make_particle_swarm>("particle_swarm", "particle swarm with constriction",
                               "Clerc and Kennedy 2002, doi:10.1109/4235.985692"),
      row<make_random>("random", "points drawn uniformly from the box", ""),
      row<make_quasi_random>("quasi_random", "points of a Halton sequence with permuted digits", "Halton 1960"),
      row<make_cobyla>("cobyla", "Powell's linear approximations", kNlopt),
      row<make_bobyqa>("bobyqa", "Powell's quadratic approximations; at least two weights", kNlopt),
      row<make_nelder_mead>("nelder_mead", "the simplex of Nelder and Mead", kNlopt),
      row<make_sbplx>("sbplx", "Nelder-Mead on a sequence of subspaces (Subplex)", kNlopt),
      row<make_gradient>("gradient", "Adam on the weights, by gradients of the score",
                         "Kingma and Ba 2015, arXiv:1412.6980"),
  };
  for (Method& method : rows) {
    method.gradients = method.name == "gradient";
    method.singles = method.name == "screened";
    const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), method.name) != names.end();
    };
    method.population = is_one_of({"screened", "cma_es", "active_cma_es", "sep_cma_es", "differential_evolution",
                                   "particle_swarm", "random", "quasi_random"});
    method.step = is_one_of({"auto", "screened", "cma_es", "active_cma_es", "sep_cma_es", "lorahub", "one_plus_one",
                             "cobyla", "bobyqa", "nelder_mead", "sbplx"});
  }
  return rows;
}

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> all = make_rows();
  return all;
}

const Method& find_method(std::string_view name) {
  std::vector<std::string> names;
  for (const Method& method : methods()) {
    if (method.name == name) return method;
    names.push_back(method.name);
  }
  throw UsageError(fmt::format("unknown search method '{}'{}", name, suggestion(name, names)));
}

std::unique_ptr<Optimizer> make_optimizer(std::string_view method, const Problem& problem,
                                          const OptimizerOptions& options) {
  const Method& found = find_method(method);
  if (found.singles && problem.singles.empty()) {
    throw UsageError(
        fmt::format("search method '{}' needs to know the points that stand for one ingredient alone, and the "
                    "problem has none; use cma_es",
                    found.name));
  }
  if (found.gradients && !problem.gradients) {
    throw UsageError(fmt::format("search method '{}' follows gradients, and there are none; use cma_es", found.name));
  }
  return found.make(problem, options);
}

}  // namespace weft::search
