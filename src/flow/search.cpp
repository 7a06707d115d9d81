#include "weft/flow/search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "dist/group.h"
#include "flow/search_check.h"
#include "flow/search_compare.h"
#include "flow/search_evaluator.h"
#include "flow/search_fingerprint.h"
#include "flow/search_journal.h"
#include "flow/search_result.h"
#include "flow/search_score.h"
#include "flow/search_setup.h"

namespace weft::flow {

namespace {

constexpr size_t kMostFolds = 1000;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// `all but 2/4`, `only 2/4`, `dropped` by a race; empty: all examples.
std::string text_of(const search::Part& part, const Answer& answer) {
  if (answer.dropped) return "dropped";
  if (part.folds == 0) return {};
  return fmt::format("{} {}/{}", part.only ? "only" : "all but", part.fold + 1, part.folds);
}

/// Lower wins; what is not finite loses.
bool beats(double a, double b) { return std::isfinite(a) && (!std::isfinite(b) || a < b); }

/// Asks the method, answers, writes down, until the budget is spent.
class SearchLoop {
 public:
  SearchLoop(const SearchJob& job, const SearchSetup& setup, Evaluator& evaluator, const dist::Group& group, Log& log)
      : job_(job),
        setup_(setup),
        evaluator_(evaluator),
        group_(group),
        log_(log),
        penalty_(job.options, observations(setup)),
        problem_(make_problem()) {
    if (group.rank() == 0) journal_.emplace(journal_path(job.output), fingerprint_of(job, setup));
    learn_replay();
  }

  void run(SearchReport& report) {
    const auto optimizer = search::make_optimizer(job_.options.method, problem_, job_.options.optimizer);
    log_.progress("searching", 0, job_.options.budget, "");
    for (search::Question question = optimizer->ask(); !question.empty(); question = optimizer->ask()) {
      const std::vector<Answer> answers = replay_or_answer(question, report);
      std::vector<search::Outcome> outcomes;
      for (size_t i = 0; i < answers.size(); ++i) outcomes.push_back(outcome_of(question.points[i], answers[i]));
      optimizer->tell(outcomes);
      report.spent += question.cost(problem_);
      take(question, answers, report);
      if (is_stopped_early()) break;
    }
    check_found(report);
    choose(optimizer->recommendation(), report);
  }

  void finish() {
    if (journal_) journal_->remove();
  }

 private:
  search::Problem make_problem() const {
    search::Problem out = setup_.space.problem();
    out.budget = job_.options.budget;
    out.seed = job_.options.seed;
    out.gradients = setup_.fit.has_value() && setup_.fit->differentiable();
    // What weighs scores against a prior of its own needs to know how much a score says.
    const bool own_prior = !job_.options.prior && is_likelihood(job_.options);
    out.observations = own_prior ? observations(setup_) : 0.0;
    out.folds = out.gradients ? static_cast<int>(std::min<size_t>(setup_.fold_of.size(), kMostFolds)) : 0;
    return out;
  }

  static double observations(const SearchSetup& setup) { return setup.fit ? setup.fit->observations() : 0.0; }

  /// Every rank replays the same journal.
  void learn_replay() {
    std::string text;
    if (journal_)
      for (const JournalEntry& entry : journal_->entries()) text += entry.text() + "\n";
    if (group_.size() > 1) text = group_.broadcast(text);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      replay_.push_back(JournalEntry::parse(text.substr(begin, end - begin), "the journal"));
      begin = end + 1;
    }
  }

  std::vector<Answer> replay_or_answer(const search::Question& question, SearchReport& report) {
    std::vector<Answer> out;
    for (size_t i = 0; i < question.points.size() && replayed_ < replay_.size(); ++i, ++replayed_) {
      const JournalEntry& entry = replay_[replayed_];
      if (entry.point != question.points[i] || entry.answer.gradient.empty() == question.gradients)
        throw InputError(
            fmt::format("{}: its evaluation {} is not what this search asks for; it was made by another version or on "
                        "another machine. Delete it to begin anew",
                        journal_path(job_.output).string(), replayed_ + 1));
      out.push_back(entry.answer);
      ++report.resumed;
    }
    if (out.size() == question.points.size()) {
      if (!question.gradients && question.part.folds == 0) evaluator_.learn(question.points, out);
      return out;
    }
    // Chunks are always the same candidates, so a question that was answered in part is answered whole again.
    const size_t known = out.size();
    const std::vector<Answer> all = evaluator_.answer(question);
    for (size_t i = known; i < all.size(); ++i) {
      if (journal_) journal_->add({question.points[i], question.phase, all[i]});
      out.push_back(all[i]);
    }
    return out;
  }

  search::Outcome outcome_of(const search::Point& point, const Answer& answer) const {
    search::Outcome out;
    out.score = penalty_.total(answer.score, point);
    out.gradient = answer.gradient;
    if (!out.gradient.empty()) penalty_.add_gradient(point, out.gradient);
    return out;
  }

  void take(const search::Question& question, const std::vector<Answer>& answers, SearchReport& report) {
    for (size_t i = 0; i < answers.size(); ++i) {
      SearchTrial trial;
      trial.phase = question.phase;
      trial.point = question.points[i];
      trial.score = answers[i].score;
      trial.total = penalty_.total(answers[i].score, trial.point);
      trial.held_out = answers[i].held_out;
      trial.part = text_of(question.part, answers[i]);
      report.trials.push_back(std::move(trial));
      const size_t at = report.trials.size() - 1;
      // Patience is not lost over parts of the examples, which have no held-out score.
      if (question.part.folds == 0) ++judged_;
      if (!report.trials[at].part.empty()) continue;
      if (!best_ || beats(judged(report.trials[at]), judged(report.trials[*best_])))
        best_ = at, judged_at_best_ = judged_;
    }
    const auto spent = static_cast<std::int64_t>(std::lround(report.spent));
    if (best_) log_.progress("searching", spent, job_.options.budget, describe(report.trials[*best_]));
  }

  /// What trials are compared by.
  static double judged(const SearchTrial& trial) { return trial.held_out.value_or(trial.total); }

  std::string describe(const SearchTrial& trial) const {
    constexpr size_t kShown = 3;
    std::vector<size_t> order(trial.point.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return std::fabs(trial.point[a]) > std::fabs(trial.point[b]); });
    std::vector<std::string> parts;
    for (size_t i = 0; i < std::min(kShown, order.size()); ++i)
      parts.push_back(fmt::format("{} {:.2f}", setup_.space.name(order[i]), trial.point[order[i]]));
    const double shown = setup_.fit ? setup_.fit->metric_value(trial.score) : trial.score;
    return fmt::format("{}: {} {:.4f} ({})", trial.phase, job_.custom ? "score" : job_.options.objective.metric, shown,
                       fmt::join(parts, ", "));
  }

  bool is_stopped_early() const {
    const auto patience = static_cast<size_t>(job_.options.patience);
    return patience > 0 && best_ && judged_ - judged_at_best_ >= patience;
  }

  void check_found(const SearchReport& report) const {
    if (best_ && std::isfinite(judged(report.trials[*best_]))) return;
    throw InputError(
        fmt::format("none of {} weightings of the {} adapters had a finite score; an adapter may be broken "
                    "(weft inspect), or the box of weights too wide",
                    report.trials.size(), setup_.space.adapters().size()));
  }

  // With held-out examples the best on these wins, whatever the method thinks.
  void choose(const std::optional<search::Point>& recommended, SearchReport& report) {
    if (recommended && !setup_.held_out)
      for (size_t i = 0; i < report.trials.size(); ++i)
        if (report.trials[i].part.empty() && report.trials[i].point == *recommended &&
            std::isfinite(report.trials[i].score)) {
          best_ = i;
          break;
        }
    const SearchTrial& best = report.trials[*best_];
    report.weights = setup_.space.weights(best.point);
    report.score = best.score;
    report.found = *best_;
  }

  const SearchJob& job_;
  const SearchSetup& setup_;
  Evaluator& evaluator_;
  const dist::Group& group_;
  Log& log_;
  Penalty penalty_;
  search::Problem problem_;
  std::optional<Journal> journal_;
  std::vector<JournalEntry> replay_;
  size_t replayed_ = 0;
  std::optional<size_t> best_;
  size_t judged_ = 0, judged_at_best_ = 0;  // evaluations of all examples: so far, and when the best one was made
};

}  // namespace

SearchReport search(const SearchJob& job, Log& log) {
  const double started = seconds_now();
  check_search(job);
  const dist::Group group = dist::Group::from_environment();
  SearchReport report;
  group.agree([&] {
    if (group.rank() == 0) check_search_output(job);
  });
  std::optional<SearchSetup> setup;
  group.agree([&] { setup.emplace(open_search(job, log)); });
  report.adapters = setup->space.adapters();
  report.groups = setup->space.group_names();
  report.metric = job.custom ? "custom" : job.options.objective.metric;
  Evaluator evaluator(job, *setup, group);
  std::optional<SearchLoop> loop;
  group.agree([&] { loop.emplace(job, *setup, evaluator, group, log); });
  loop->run(report);
  compare_rivals(job, *setup, evaluator, report);
  for (const std::string& text : report.warnings) log.warning(text);
  group.agree([&] {
    if (group.rank() != 0) return;
    write_search_result(job, *setup, report, log);
    loop->finish();
  });
  report.output = job.output;
  report.seconds = seconds_now() - started;
  return report;
}

}  // namespace weft::flow
