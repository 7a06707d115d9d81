#include "flow/search_evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "weft/core/error.h"
#include "weft/core/parallel.h"

namespace weft::flow {

namespace {

/// Text that holds several texts, whatever is in them.
std::string join_texts(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += std::to_string(text.size()) + ":" + text;
  return out;
}

std::vector<std::string> split_texts(const std::string& all) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < all.size();) {
    const size_t mark = all.find(':', begin);
    const size_t size = std::stoull(all.substr(begin, mark - begin));
    out.push_back(all.substr(mark + 1, size));
    begin = mark + 1 + size;
  }
  return out;
}

}  // namespace

Evaluator::Evaluator(const SearchJob& job, const SearchSetup& setup, const dist::Group& group)
    : job_(job), setup_(setup), group_(group) {
  if (!setup.fit) return;
  chunk_ = setup.fit->chunk();
  const size_t count = setup.fit->examples();
  const auto seen = static_cast<size_t>(std::ceil(job.options.race * static_cast<double>(count)));
  if (job.options.race <= 0 || seen >= count) return;
  // Every so-manieth example: files are often sorted by label.
  for (size_t i = 0; i < count; ++i) ((i * seen) / count != ((i + 1) * seen) / count ? first_ : rest_).push_back(i);
}

std::vector<Answer> Evaluator::answer(const search::Question& question) {
  std::vector<eval::Weights> candidates;
  for (const search::Point& point : question.points) candidates.push_back(setup_.space.weights(point));
  const std::vector<size_t> part = indices_of(question.part);
  if (!question.gradients && part.empty()) {
    std::vector<Answer> out = score(candidates, true);
    choose_leader(candidates, out);
    return out;
  }
  std::vector<Answer> out = question.gradients ? slopes(question.points, part) : partial_scores(candidates, part);
  if (part.empty()) hold_out(candidates, out);
  return out;
}

void Evaluator::learn(const std::vector<search::Point>& points, const std::vector<Answer>& answers) {
  if (first_.empty()) return;
  std::vector<eval::Weights> candidates;
  for (const search::Point& point : points) candidates.push_back(setup_.space.weights(point));
  choose_leader(candidates, answers);
}

std::vector<Answer> Evaluator::score(const std::vector<eval::Weights>& candidates, bool racing) {
  const size_t chunks = (candidates.size() + chunk_ - 1) / chunk_;
  const auto ranks = static_cast<size_t>(group_.size()), rank = static_cast<size_t>(group_.rank());
  std::vector<std::vector<Answer>> done(chunks);
  std::vector<size_t> mine;
  for (size_t i = rank; i < chunks; i += ranks) mine.push_back(i);
  const auto work = [&](std::int64_t i) {
    const size_t at = mine[static_cast<size_t>(i)];
    const auto begin = candidates.begin() + static_cast<std::ptrdiff_t>(at * chunk_);
    const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(std::min(candidates.size(), (at + 1) * chunk_));
    done[at] = score_chunk({begin, end}, racing);
  };
  const auto all_mine = [&] {
    if (job_.options.jobs > 1 && job_.custom == nullptr)
      parallel_for(static_cast<std::int64_t>(mine.size()), static_cast<int>(job_.options.jobs), work);
    else
      for (size_t i = 0; i < mine.size(); ++i) work(static_cast<std::int64_t>(i));
  };
  if (ranks == 1) {
    all_mine();
  } else {
    group_.agree(all_mine);
    std::vector<std::string> texts;
    for (const size_t at : mine)
      for (const Answer& answer : done[at]) texts.push_back(answer.text());
    const std::vector<std::string> gathered = group_.all_gather(join_texts(texts));
    for (size_t from = 0; from < ranks; ++from) {
      size_t next = 0;
      const std::vector<std::string> theirs = split_texts(gathered[from]);
      for (size_t at = from; at < chunks; at += ranks) {
        done[at].clear();
        const size_t size = std::min(chunk_, candidates.size() - at * chunk_);
        for (size_t i = 0; i < size; ++i)
          done[at].push_back(Answer::parse(theirs.at(next++), "rank " + std::to_string(from)));
      }
    }
  }
  std::vector<Answer> out;
  for (auto& answers : done)
    for (Answer& answer : answers) out.push_back(std::move(answer));
  return out;
}

std::vector<Answer> Evaluator::score_chunk(const std::vector<eval::Weights>& chunk, bool racing) {
  std::vector<Answer> out;
  if (job_.custom != nullptr) {
    for (const eval::Weights& weights : chunk) {
      Answer answer;
      answer.score = job_.custom(setup_.model, setup_.tokenizer, composition_of(setup_, job_.options.rule, weights));
      out.push_back(std::move(answer));
    }
    return out;
  }
  if (racing && !leader_.empty()) return race_chunk(chunk);
  for (const eval::Candidate& candidate : setup_.fit->evaluate(chunk)) {
    Answer answer;
    answer.score = candidate.score;
    out.push_back(std::move(answer));
  }
  hold_out(chunk, out);
  return out;
}

// A candidate that is behind the best one so far by more than twice the standard error of their paired differences on
// the first examples is not run on the others (a racing test: Maron and Moore 1994, Birattari et al. 2002).
std::vector<Answer> Evaluator::race_chunk(const std::vector<eval::Weights>& chunk) {
  const eval::Objective& fit = *setup_.fit;
  std::vector<eval::Candidate> heats = fit.evaluate(chunk, first_);
  std::vector<Answer> out(chunk.size());
  std::vector<eval::ExampleResult> leader;
  for (const size_t i : first_) leader.push_back(leader_[i]);
  const double behind = leader_score_ - fit.score(leader, first_);
  std::vector<size_t> running;
  for (size_t c = 0; c < chunk.size(); ++c) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < first_.size(); ++i) {
      const double gap = (heats[c].examples[i].nll - leader[i].nll) / static_cast<double>(leader[i].tokens);
      sum += gap, squares += gap * gap;
    }
    const auto n = static_cast<double>(first_.size());
    const double mean = sum / n, variance = std::max(0.0, squares / n - mean * mean);
    const bool hopeless = !std::isfinite(heats[c].score) || (n > 1 && mean > 2.0 * std::sqrt(variance / (n - 1)));
    if (hopeless)
      out[c].score = heats[c].score + behind, out[c].dropped = true;
    else
      running.push_back(c);
  }
  std::vector<eval::Weights> others;
  for (const size_t c : running) others.push_back(chunk[c]);
  if (others.empty()) return out;
  std::vector<eval::Candidate> finals = fit.evaluate(others, rest_);
  for (size_t r = 0; r < running.size(); ++r) {
    std::vector<eval::ExampleResult> whole(fit.examples());
    for (size_t i = 0; i < first_.size(); ++i) whole[first_[i]] = std::move(heats[running[r]].examples[i]);
    for (size_t i = 0; i < rest_.size(); ++i) whole[rest_[i]] = std::move(finals[r].examples[i]);
    out[running[r]].score = std::isfinite(finals[r].score) ? fit.score(whole) : std::nan("");
  }
  std::vector<Answer> held(others.size());
  hold_out(others, held);
  for (size_t r = 0; r < running.size(); ++r) out[running[r]].held_out = held[r].held_out;
  return out;
}

/// Gradients are asked for one point at a time, so there is nothing to share; all ranks make the same.
std::vector<Answer> Evaluator::slopes(const std::vector<search::Point>& points, const std::vector<size_t>& part) const {
  std::vector<Answer> out;
  for (const search::Point& point : points) {
    Answer answer;
    try {
      const eval::Slope slope = setup_.fit->slope(setup_.space.weights(point), part);
      answer.score = slope.score;
      answer.gradient = setup_.space.pull_back(slope.gradient);
    } catch (const NonFiniteError&) {
      answer.score = std::nan("");
      answer.gradient.assign(point.size(), std::nan(""));
    }
    out.push_back(std::move(answer));
  }
  return out;
}

std::vector<Answer> Evaluator::partial_scores(const std::vector<eval::Weights>& candidates,
                                              const std::vector<size_t>& part) const {
  std::vector<Answer> out;
  for (const eval::Candidate& candidate : setup_.fit->evaluate(candidates, part)) {
    Answer answer;
    answer.score = candidate.score;
    out.push_back(std::move(answer));
  }
  return out;
}

std::vector<size_t> Evaluator::indices_of(const search::Part& part) const {
  std::vector<size_t> out;
  if (part.folds == 0) return out;
  for (size_t i = 0; i < setup_.fold_of.size(); ++i) {
    const bool member = setup_.fold_of[i] % static_cast<size_t>(part.folds) == static_cast<size_t>(part.fold);
    if (member == part.only) out.push_back(i);
  }
  return out;
}

void Evaluator::hold_out(const std::vector<eval::Weights>& chunk, std::vector<Answer>& answers) const {
  if (!setup_.held_out) return;
  const std::vector<eval::Candidate> held = setup_.held_out->evaluate(chunk);
  for (size_t i = 0; i < held.size(); ++i) answers[i].held_out = held[i].score;
}

// The leader of a race changes between questions only, so that it does not depend on who finishes first.
void Evaluator::choose_leader(const std::vector<eval::Weights>& candidates, const std::vector<Answer>& answers) {
  if (first_.empty()) return;
  size_t best = answers.size();
  for (size_t i = 0; i < answers.size(); ++i)
    if (!answers[i].dropped && std::isfinite(answers[i].score) &&
        (best == answers.size() || answers[i].score < answers[best].score))
      best = i;
  if (best == answers.size() || (!leader_.empty() && answers[best].score >= leader_score_)) return;
  eval::Candidate again = std::move(setup_.fit->evaluate({candidates[best]}).front());
  leader_ = std::move(again.examples);
  leader_score_ = again.score;
}

}  // namespace weft::flow
