// Four of NLopt's methods without derivatives. None of them draws random numbers.
#include <nlopt.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include "search/conversation.h"
#include "search/methods/methods.h"

namespace weft::search {

namespace {

struct NloptDeleter {
  void operator()(nlopt_opt opt) const { nlopt_destroy(opt); }
};

/// What NLopt's callback needs.
struct NloptCall {
  const Conversation::Evaluate* evaluate;
  nlopt_opt opt;
  std::exception_ptr failure;
};

/// No exception may pass through NLopt: it is kept for later, and stops NLopt like a hang-up.
double evaluate_for_nlopt(unsigned n, const double* x, double*, void* data) {
  NloptCall& call = *static_cast<NloptCall*>(data);
  std::optional<double> score;
  try {
    if (!call.failure) score = (*call.evaluate)(Point(x, x + n));
  } catch (...) {
    call.failure = std::current_exception();
  }
  if (!score) nlopt_force_stop(call.opt);
  return score.value_or(HUGE_VAL);
}

class NloptMethod : public Engine {
 public:
  NloptMethod(const Problem& box, nlopt_algorithm algorithm, double step)
      : box_(box),
        width_(widths(box)),
        algorithm_(algorithm),
        step_(step),
        talk_([this](const Conversation::Evaluate& evaluate) { search(evaluate); }) {}

  Question propose(std::int64_t) override {
    if (!started_) return {{box_.start}, false, "start"};
    std::optional<Point> place = talk_.next();
    // Most begin by asking for the start, whose score is known.
    while (place && std::all_of(place->begin(), place->end(), [](double z) { return z == 0; })) {
      talk_.answer(start_score_);
      place = talk_.next();
    }
    if (!place) return {};
    Point point(box_.start);
    for (size_t i = 0; i < point.size(); ++i) point[i] += width_[i] * (*place)[i];
    return {{std::move(point)}, false, "step"};
  }

  void learn(const std::vector<Point>&, const std::vector<Outcome>& outcomes) override {
    const double score = usable(outcomes[0].score);
    if (std::exchange(started_, true)) {
      talk_.answer(score);
    } else {
      start_score_ = score;
    }
  }

 private:
  /// Models cannot be fitted to infinity: bad points count as somewhat worse than the worst so far.
  double usable(double score) {
    constexpr double kUnknown = 1e3;
    if (std::isfinite(score)) {
      least_ = std::min(least_, score);
      most_ = std::max(most_, score);
      return score;
    }
    return most_ >= least_ ? most_ + (most_ - least_) + 1e-3 * std::abs(most_) + 1e-9 : kUnknown;
  }

  void search(const Conversation::Evaluate& evaluate) const {
    const unsigned n = static_cast<unsigned>(box_.size());
    const std::unique_ptr<nlopt_opt_s, NloptDeleter> opt(nlopt_create(algorithm_, n));
    if (!opt) throw Error("NLopt could not begin: out of memory");
    Point lower(n), upper(n), place(n, 0.0);
    for (unsigned i = 0; i < n; ++i) {
      lower[i] = (box_.lower[i] - box_.start[i]) / width_[i];
      upper[i] = (box_.upper[i] - box_.start[i]) / width_[i];
    }
    NloptCall call{&evaluate, opt.get(), nullptr};
    nlopt_set_lower_bounds(opt.get(), lower.data());
    nlopt_set_upper_bounds(opt.get(), upper.data());
    nlopt_set_min_objective(opt.get(), evaluate_for_nlopt, &call);
    nlopt_set_initial_step1(opt.get(), step_);
    nlopt_set_xtol_abs1(opt.get(), 1e-9);
    nlopt_set_maxeval(opt.get(), static_cast<int>(std::min<std::int64_t>(box_.budget, INT_MAX - 1) + 1));
    double score = 0;
    const nlopt_result result = nlopt_optimize(opt.get(), place.data(), &score);
    if (call.failure) std::rethrow_exception(call.failure);
    if (result == NLOPT_OUT_OF_MEMORY) throw Error("NLopt ran out of memory");
    if (result == NLOPT_INVALID_ARGS) {
      const char* const why = nlopt_get_errmsg(opt.get());
      throw UsageError(std::string("NLopt refuses this search") + (why ? std::string(": ") + why : std::string()));
    }
  }

  const Problem box_;
  const Point width_;
  const nlopt_algorithm algorithm_;
  const double step_;
  bool started_ = false;
  double start_score_ = 0;
  double least_ = std::numeric_limits<double>::infinity(), most_ = -std::numeric_limits<double>::infinity();
  Conversation talk_;  // last: its thread uses the others
};

std::unique_ptr<Engine> nlopt_method(const Problem& box, const OptimizerOptions& options, nlopt_algorithm algorithm,
                                     const char* name) {
  check_square(box, name);
  return std::make_unique<NloptMethod>(box, algorithm, options.step > 0 ? options.step : 1.0 / 6);
}

}  // namespace

std::unique_ptr<Engine> make_cobyla(const Problem& box, const OptimizerOptions& options) {
  return nlopt_method(box, options, NLOPT_LN_COBYLA, "cobyla");
}

std::unique_ptr<Engine> make_bobyqa(const Problem& box, const OptimizerOptions& options) {
  if (box.size() < 2) throw UsageError("bobyqa needs at least two weights that move; use cobyla or nelder_mead");
  return nlopt_method(box, options, NLOPT_LN_BOBYQA, "bobyqa");
}

std::unique_ptr<Engine> make_nelder_mead(const Problem& box, const OptimizerOptions& options) {
  return nlopt_method(box, options, NLOPT_LN_NELDERMEAD, "nelder_mead");
}

std::unique_ptr<Engine> make_sbplx(const Problem& box, const OptimizerOptions& options) {
  return nlopt_method(box, options, NLOPT_LN_SBPLX, "sbplx");
}

}  // namespace weft::search
