#include "eval/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "data/batches.h"
#include "eval/answer_text.h"
#include "eval/score.h"
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

/// Examples by how many new tokens they get: learned positions end, and what fits is each prompt's own.
std::map<std::int64_t, std::vector<size_t>> by_new_tokens(const std::vector<std::int64_t>& prompts, std::int64_t most,
                                                          bool asked, const model::ModelInfo& info) {
  const bool clip = !asked && info.positions_end && info.kind == model::Kind::kCausal;
  std::map<std::int64_t, std::vector<size_t>> out;
  for (size_t i = 0; i < prompts.size(); ++i)
    out[clip ? std::clamp<std::int64_t>(info.positions - prompts[i], 1, most) : most].push_back(i);
  return out;
}

}  // namespace

void generate_answers(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const model::Composition& composition, const EvalOptions& options, Log& log,
                      std::vector<ExampleResult>& results) {
  warn_of_stops(examples, options.stop, log);
  const bool asked = options.max_new_tokens > 0;
  const std::int64_t most = asked ? options.max_new_tokens : longest_answer(tokenizer, examples, options.threads);
  std::vector<std::string> prompts;
  for (const data::Example& example : examples.list) prompts.push_back(example.text);
  std::vector<std::int64_t> lengths;
  for (const auto& ids : tokenizer.encode_all(prompts, true, options.threads))
    lengths.push_back(static_cast<std::int64_t>(ids.size()));
  model::GenerateOptions generating;
  generating.stop = options.stop;
  const auto total = static_cast<std::int64_t>(prompts.size());
  std::int64_t done = 0;
  log.progress("answering", 0, total, {});
  for (const auto& [fresh, members] : by_new_tokens(lengths, most, asked, model.info())) {
    std::vector<std::int64_t> costs;
    for (const size_t index : members) costs.push_back(lengths[index] + std::min(fresh, options.batch_tokens));
    generating.max_new_tokens = fresh;
    for (const std::vector<size_t>& batch : data::make_batches(costs, options.batch_tokens)) {
      std::vector<size_t> indices;
      std::vector<std::string> part;
      for (const size_t at : batch) indices.push_back(members[at]), part.push_back(prompts[members[at]]);
      generating.batch = static_cast<std::int64_t>(part.size());
      naming_lines(examples, indices, [&] {
        std::vector<model::Generation> found = model::generate(model, tokenizer, part, generating, composition);
        for (size_t i = 0; i < found.size(); ++i) results[indices[i]].answer = std::move(found[i].text);
      });
      done += static_cast<std::int64_t>(indices.size());
      log.progress("answering", done, total, {});
    }
  }
}

}  // namespace weft::eval
