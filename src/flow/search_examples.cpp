#include "flow/search_examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "weft/core/random.h"
#include "weft/data/draw.h"
#include "weft/eval/metric.h"

namespace weft::flow {

namespace {

std::string label_text_of(const data::Example& example) {
  return example.label.empty() ? std::to_string(example.label_index) : example.label;
}

/// Indices of `count` examples to hold out; of labelled texts as evenly over the labels as can be, one of each stays.
std::vector<bool> choose_held_out(const data::Examples& examples, double share, std::uint64_t seed) {
  const size_t total = examples.list.size();
  const auto count = static_cast<size_t>(share * static_cast<double>(total) + 0.5);
  const Philox random(hash_key("held out", seed));
  std::vector<size_t> order(total);
  for (size_t i = 0; i < total; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return random.uniform(a) < random.uniform(b); });
  const auto label = [&](size_t i) { return label_text_of(examples.list[i]); };
  std::map<std::string, size_t> left, taken;
  for (size_t i = 0; i < total; ++i) ++left[label(i)];
  std::vector<bool> out(total, false);
  const bool labelled = examples.kind == data::Kind::kLabel;
  for (size_t chosen = 0; chosen < count;) {
    const size_t before = chosen;
    size_t fewest = total;  // takers of the label that gave least so far
    for (const size_t i : order)
      if (!out[i] && (!labelled || left[label(i)] > 1)) fewest = std::min(fewest, labelled ? taken[label(i)] : 0);
    for (const size_t i : order) {
      if (chosen == count || out[i]) continue;
      if (labelled && (left[label(i)] <= 1 || taken[label(i)] > fewest)) continue;
      out[i] = true, ++chosen;
      --left[label(i)], ++taken[label(i)];
      if (labelled) break;
    }
    if (chosen == before) break;  // one of each label is left
  }
  return out;
}

SearchExamples split_examples(data::Examples all, double share, std::uint64_t seed) {
  if (all.list.size() < 2)
    throw InputError(fmt::format("{}: has one example; none can be held out of it", all.file.string()));
  const std::vector<bool> held = choose_held_out(all, share, seed);
  SearchExamples out;
  out.fit = all, out.held_out = all;
  out.fit->list.clear(), out.held_out->list.clear();
  for (size_t i = 0; i < held.size(); ++i) (held[i] ? out.held_out : out.fit)->list.push_back(std::move(all.list[i]));
  if (out.held_out->list.empty() || out.fit->list.empty())
    throw InputError(fmt::format("{}: validation of {} leaves {} of {} examples to hold out; give more examples",
                                 all.file.string(), share, out.held_out->list.size(), held.size()));
  return out;
}

}  // namespace

SearchExamples read_search_examples(const SearchJob& job) {
  SearchExamples out;
  if (job.custom != nullptr) return out;
  data::Examples all = data::read_examples(job.data, job.reading);
  eval::choose_metrics({job.options.objective.metric}, all.kind);
  if (job.options.shots > 0) all = data::draw(all, job.options.shots, job.options.seed);
  if (job.options.validation > 0) return split_examples(std::move(all), job.options.validation, job.options.seed);
  out.fit = std::move(all);
  if (job.options.held_out.empty()) return out;
  out.held_out = data::read_examples(job.options.held_out, job.reading);
  if (out.held_out->kind != out.fit->kind)
    throw InputError(fmt::format("{} has {} examples and {} has {} examples; they must be of one kind",
                                 job.data.string(), data::kind_name(out.fit->kind), job.options.held_out.string(),
                                 data::kind_name(out.held_out->kind)));
  return out;
}

std::vector<size_t> deal_examples(const data::Examples& examples) {
  std::map<std::string, std::vector<size_t>> by_label;
  for (size_t i = 0; i < examples.list.size(); ++i) by_label[label_text_of(examples.list[i])].push_back(i);
  std::vector<size_t> out(examples.list.size());
  size_t next = 0;
  for (const auto& [label, members] : by_label)
    for (const size_t i : members) out[i] = next++;
  return out;
}

}  // namespace weft::flow
