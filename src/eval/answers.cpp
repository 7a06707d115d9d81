#include "eval/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "data/batches.h"
#include "eval/answer_text.h"
#include "weft/model/generate.h"

namespace weft::eval {

namespace {

/// Room beyond the longest right answer: a stop string, an end token, another cut into tokens.
constexpr std::int64_t kSpareTokens = 8;

/// Tokens of the longest right answer, and some more.
std::int64_t longest_answer(const text::Tokenizer& tokenizer, const data::Examples& examples, int threads) {
  std::vector<std::string> answers;
  for (const data::Example& example : examples.list)
    for (const std::string_view right : right_answers(example)) answers.emplace_back(right);
  size_t longest = 0;
  for (const auto& ids : tokenizer.encode_all(answers, false, threads)) longest = std::max(longest, ids.size());
  return static_cast<std::int64_t>(longest) + kSpareTokens;
}

/// A generated answer ends before a stop string, so a right answer that holds one can never be met.
void warn_of_stops(const data::Examples& examples, const std::vector<std::string>& stops, Log& log) {
  for (size_t i = 0; i < examples.list.size(); ++i) {
    const std::vector<std::string_view> answers = right_answers(examples.list[i]);
    for (const std::string& stop : stops) {
      const bool met = std::any_of(answers.begin(), answers.end(), [&](std::string_view right) {
        const std::string_view core = stripped(right);  // what ends an answer may stand behind it
        right.remove_suffix(static_cast<size_t>(right.data() + right.size() - (core.data() + core.size())));
        return right.find(stop) == std::string_view::npos;
      });
      if (met || stop.empty()) continue;
      log.warning(
          fmt::format("{}: every right answer holds a stop string, and a generated one ends before it; give "
                      "other ones, as in --stop",
                      examples.place(i).text()));
      return;
    }
  }
}

}  // namespace

AnswerGenerator::AnswerGenerator(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                                 const data::Examples& examples, const EvalOptions& options, Log& log)
    : model_(model), tokenizer_(tokenizer), examples_(examples), options_(options) {
  warn_of_stops(examples, options.stop, log);
  const bool asked = options.max_new_tokens > 0;
  most_ = asked ? options.max_new_tokens : longest_answer(tokenizer, examples, options.threads);
  clip_ = !asked && model.info().positions_end && model.info().kind == model::Kind::kCausal;
  std::vector<std::string> prompts;
  for (const data::Example& example : examples.list) prompts.push_back(example.text);
  for (const auto& ids : tokenizer.encode_all(prompts, true, options.threads))
    lengths_.push_back(static_cast<std::int64_t>(ids.size()));
}

/// Learned positions end, and what fits is each prompt's own.
std::int64_t AnswerGenerator::fresh(size_t example) const {
  return clip_ ? std::clamp<std::int64_t>(model_.info().positions - lengths_[example], 1, most_) : most_;
}

std::int64_t AnswerGenerator::tokens(size_t example) const { return lengths_[example] + fresh(example); }

void AnswerGenerator::run(const std::vector<size_t>& part, const model::Composition& composition,
                          const ResultTable& results, size_t candidate, Log& log) const {
  std::map<std::int64_t, std::vector<size_t>> by_new_tokens;
  for (const size_t example : part) by_new_tokens[fresh(example)].push_back(example);
  model::GenerateOptions generating;
  generating.stop = options_.stop;
  const auto total = static_cast<std::int64_t>(part.size());
  std::int64_t done = 0;
  log.progress("answering", 0, total, {});
  for (const auto& [new_tokens, members] : by_new_tokens) {
    std::vector<std::int64_t> costs;
    for (const size_t index : members) costs.push_back(lengths_[index] + std::min(new_tokens, options_.batch_tokens));
    generating.max_new_tokens = new_tokens;
    for (const std::vector<size_t>& batch : data::make_batches(costs, options_.batch_tokens)) {
      std::vector<size_t> indices;
      std::vector<std::string> prompts;
      for (const size_t at : batch) {
        indices.push_back(members[at]);
        prompts.push_back(examples_.list[members[at]].text);
      }
      generating.batch = static_cast<std::int64_t>(prompts.size());
      naming_lines(examples_, indices, [&] {
        auto found = model::generate(model_, tokenizer_, prompts, generating, composition);
        for (size_t i = 0; i < found.size(); ++i) results.at(candidate, indices[i]).answer = std::move(found[i].text);
      });
      done += static_cast<std::int64_t>(indices.size());
      log.progress("answering", done, total, {});
    }
  }
}

}  // namespace weft::eval
