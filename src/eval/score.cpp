#include "eval/score.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

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

Tensor label_losses(const Tensor& log_probabilities, const std::vector<std::int64_t>& right) {
  const Tensor index = at::tensor(at::ArrayRef<std::int64_t>(right), at::kLong).unsqueeze(1);
  return -log_probabilities.gather(1, index).squeeze(1);
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
  std::int64_t scored = 0;
  for (const size_t unit : batch) {
    first.push_back(encoded_.scored[unit]);
    counts.push_back(seq2seq ? encoded_.targets.length(unit) : encoded_.inputs.length(unit) - encoded_.scored[unit]);
    scored += counts.back();
  }
  const Tensor nll = seq2seq ? model_.nll(inputs, batch_of(encoded_.targets, batch), composition_)
                             : model_.nll(inputs, first, composition_);
  const Tensor rows = nll.detach().to(at::kCPU, at::kFloat).contiguous();
  for (size_t c = 0; c < results_.candidates(); ++c)
    read_tokens(batch, counts, rows.const_data_ptr<float>() + static_cast<std::int64_t>(c) * scored, c);
  if (!sink_) return;
  std::vector<size_t> owners;
  for (size_t i = 0; i < batch.size(); ++i)
    owners.insert(owners.end(), static_cast<size_t>(counts[i]), encoded_.units[batch[i]].example);
  sink_(nll, owners);
}

void Scorer::read_tokens(const std::vector<size_t>& batch, const std::vector<std::int64_t>& counts, const float* rows,
                         size_t candidate) {
  for (size_t i = 0; i < batch.size(); ++i) {
    double sum = 0;
    for (const float* end = rows + counts[i]; rows < end; ++rows) sum += *rows;
    const Unit unit = encoded_.units[batch[i]];
    check_finite_nll(examples_, unit.example, sum);
    ExampleResult& result = results_.at(candidate, unit.example);
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
  const double* row = rows.const_data_ptr<double>();
  for (size_t c = 0; c < results_.candidates(); ++c)
    for (const size_t unit : batch) {
      const size_t index = encoded_.units[unit].example;
      judge_labels(examples_, index, row, labels, static_cast<size_t>(encoded_.scored[unit]), results_.at(c, index));
      row += labels.size();
    }
  if (!sink_) return;
  std::vector<std::int64_t> right;
  std::vector<size_t> owners;
  for (const size_t unit : batch) {
    right.push_back(encoded_.scored[unit]);
    owners.push_back(encoded_.units[unit].example);
  }
  sink_(label_losses(rows, right), owners);
}

}  // namespace weft::eval
