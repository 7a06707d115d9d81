#include "eval/score.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace weft::eval {

namespace {

nn::Batch batch_of(const TokenStore& store, const std::vector<size_t>& batch) {
  nn::Batch out;
  for (const size_t index : batch) out.ids.push_back(store.get(index));
  return out;
}

void check_finite_nll(const data::Examples& examples, size_t index, double nll) {
  if (!std::isfinite(nll))
    throw NonFiniteError(fmt::format("{}: the model's output is not finite", examples.place(index).text()));
}

std::string lines_of(const data::Examples& examples, const std::vector<size_t>& indices) {
  constexpr size_t kMostLines = 8;
  std::vector<int> lines;
  for (const size_t index : indices) lines.push_back(examples.list[index].line);
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  const bool more = lines.size() > kMostLines;
  lines.resize(std::min(lines.size(), kMostLines));
  return fmt::format("{}, lines {}{}", examples.file.string(), fmt::join(lines, ", "), more ? ", ..." : "");
}

}  // namespace

void naming_lines(const data::Examples& examples, const std::vector<size_t>& indices,
                  const std::function<void()>& work) {
  const auto named = [&](const Error& error) {
    return fmt::format("{} (while running {})", error.what(), lines_of(examples, indices));
  };
  try {
    work();
  } catch (const NonFiniteError& error) {
    throw NonFiniteError(named(error));
  } catch (const InputError& error) {
    throw InputError(named(error));
  } catch (const UsageError& error) {
    throw UsageError(named(error));
  } catch (const Error& error) {
    throw Error(named(error), error.blame());
  }
}

void judge_labels(const data::Examples& examples, size_t index, const double* row,
                  const std::vector<std::string>& labels, size_t right, ExampleResult& result) {
  result.tokens = 1;
  result.nll = -row[right];
  check_finite_nll(examples, index, result.nll);
  result.label = static_cast<std::int64_t>(right);
  result.predicted_label = std::max_element(row, row + labels.size()) - row;
  result.label_name = labels[static_cast<size_t>(result.predicted_label)];
}

void Scorer::score(const std::vector<size_t>& batch) {
  std::vector<size_t> indices;
  for (const size_t unit : batch) indices.push_back(encoded_.units[unit].example);
  naming_lines(examples_, indices, [&] {
    if (examples_.kind == data::Kind::kLabel)
      score_head(batch);
    else
      score_tokens(batch);
  });
}

void Scorer::score_tokens(const std::vector<size_t>& batch) {
  const bool seq2seq = model_.info().kind == model::Kind::kSeq2Seq;
  const nn::Batch inputs = batch_of(encoded_.inputs, batch);
  std::vector<std::int64_t> first, counts;
  for (const size_t unit : batch) {
    first.push_back(encoded_.scored[unit]);
    counts.push_back(seq2seq ? encoded_.targets.length(unit) : encoded_.inputs.length(unit) - encoded_.scored[unit]);
  }
  const Tensor nll = seq2seq ? model_.nll(inputs, batch_of(encoded_.targets, batch), composition_)
                             : model_.nll(inputs, first, composition_);
  const Tensor rows = nll.to(at::kCPU, at::kFloat).contiguous();
  std::span<const float> left(rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel()));
  for (size_t i = 0; i < batch.size(); ++i) {
    double sum = 0;
    for (const float token : left.first(static_cast<size_t>(counts[i]))) sum += token;
    left = left.subspan(static_cast<size_t>(counts[i]));
    const Unit unit = encoded_.units[batch[i]];
    check_finite_nll(examples_, unit.example, sum);
    ExampleResult& result = results_[unit.example];
    const data::Example& example = examples_.list[unit.example];
    if (!result.choices.empty()) result.choices[unit.choice] = -sum;
    if (example.answer >= 0 && static_cast<size_t>(example.answer) != unit.choice) continue;
    result.nll = sum;
    result.tokens = counts[i];
  }
}

void Scorer::score_head(const std::vector<size_t>& batch) {
  const std::vector<std::string>& labels = model_.info().labels;
  const Tensor logits = model_.classify(batch_of(encoded_.inputs, batch), composition_);
  const Tensor rows = at::log_softmax(logits.to(at::kCPU, at::kDouble), 1).contiguous();
  for (size_t i = 0; i < batch.size(); ++i) {
    const size_t index = encoded_.units[batch[i]].example;
    judge_labels(examples_, index, rows.const_data_ptr<double>() + i * labels.size(), labels,
                 static_cast<size_t>(encoded_.scored[batch[i]]), results_[index]);
  }
}

}  // namespace weft::eval
