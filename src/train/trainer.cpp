#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "train/checkpoint.h"
#include "train/loss.h"
#include "weft/core/random.h"
#include "weft/core/value.h"

namespace weft::train {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Value curve_value(const TrainReport& report) {
  Value points = Value::make_list();
  for (const TrainPoint& point : report.points) {
    Value row = Value::make_list();
    row.list = {Value::of(point.loss), Value::of(point.rate), Value::of(point.norm)};
    points.list.push_back(std::move(row));
  }
  return points;
}

Value checks_value(const TrainReport& report) {
  Value checks = Value::make_list();
  for (const TrainCheck& check : report.checks) {
    Value row = Value::make_list();
    row.list = {Value::of_int(check.step), Value::of(check.loss)};
    checks.list.push_back(std::move(row));
  }
  return checks;
}

/// What is wrong with a checkpoint whose contents are not as they were saved.
[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(path.string(), what + "; remove the file to begin anew");
}

Loaded load_kept(const std::filesystem::path& path) {
  try {
    return load_checkpoint(path);
  } catch (const FormatError& error) {
    const std::string text = error.what();
    damaged(path, text.substr(std::min(text.size(), error.path().size() + 2)));
  }
}

double number_in(const Value& row, size_t index, const std::filesystem::path& path) {
  const auto number = index < row.list.size() ? row.list[index].number() : std::nullopt;
  if (!number) damaged(path, "its curve is not as it was saved");
  return *number;
}

std::int64_t integer_at(const Value& state, const char* key, const std::filesystem::path& path) {
  const Value* value = state.find(key);
  const auto number = value != nullptr ? value->integer() : std::nullopt;
  if (!number || *number < 0) damaged(path, fmt::format("'{}' is not as it was saved", key));
  return *number;
}

const std::vector<Value>& list_at(const Value& state, const char* key, const std::filesystem::path& path) {
  const Value* value = state.find(key);
  if (value == nullptr || !value->is_list()) damaged(path, fmt::format("'{}' is not as it was saved", key));
  return value->list;
}

}  // namespace

Trainer::Trainer(Subject subject, const Task& task, const Task* validation, const TrainOptions& options,
                 std::filesystem::path checkpoint, std::string fingerprint, Log& log)
    : subject_(std::move(subject)),
      task_(task),
      validation_(validation),
      options_(options),
      checkpoint_(std::move(checkpoint)),
      fingerprint_(std::move(fingerprint)),
      log_(log),
      order_(task.count(), options.seed) {
  per_step_ = examples_per_step(options, task.count());
  steps_ = steps_of(options, task.count());
  check_every_ = options.eval_every > 0 ? options.eval_every
                                        : std::max<std::int64_t>(1, (task.count() + per_step_ - 1) / per_step_);
  for (const Leaf& leaf : *subject_.leaves) report_.parameters += leaf.value.numel();
}

std::vector<std::int64_t> Trainer::labels_of_step(const std::vector<std::int64_t>& examples) const {
  const auto all = static_cast<std::int64_t>(task_.label_inputs.size());
  if (task_.objective != Objective::kSimilarity || all <= options_.most_labels) return {};
  std::vector<bool> taken(static_cast<size_t>(all), false);
  for (const std::int64_t i : examples) taken[static_cast<size_t>(task_.label[static_cast<size_t>(i)])] = true;
  std::vector<std::int64_t> others;
  for (std::int64_t label = 0; label < all; ++label)
    if (!taken[static_cast<size_t>(label)]) others.push_back(label);
  const std::uint64_t key = hash_key("drawn labels", options_.seed) + static_cast<std::uint64_t>(step_);
  for (const std::int64_t i : draw_some(static_cast<std::int64_t>(others.size()), options_.drawn_labels, key))
    taken[static_cast<size_t>(others[static_cast<size_t>(i)])] = true;
  std::vector<std::int64_t> out;
  for (std::int64_t label = 0; label < all; ++label)
    if (taken[static_cast<size_t>(label)]) out.push_back(label);
  return out;
}

/// Gradients of the mean loss over `examples`, batch by batch; gives the mean.
double Trainer::accumulate(const std::vector<std::int64_t>& examples) {
  std::int64_t scored = 0;
  for (const std::int64_t i : examples) scored += task_.scored(i), report_.tokens += task_.length(i);
  const auto labels = labels_of_step(examples);
  const auto count = static_cast<std::int64_t>(examples.size());
  const std::uint64_t key = hash_key("dropout", options_.seed) + static_cast<std::uint64_t>(step_) * 0x10001;
  double sum = 0.0;
  for (std::int64_t begin = 0; begin < count; begin += options_.batch) {
    const std::int64_t end = std::min(count, begin + options_.batch);
    const std::vector<std::int64_t> batch(examples.begin() + begin, examples.begin() + end);
    const auto composition = subject_.composition(options_.lora.dropout, key + static_cast<std::uint64_t>(begin));
    const Tensor loss = loss_sum(*subject_.model, composition, task_, batch, labels, options_.temperature);
    const double value = loss.item().toDouble();
    if (!std::isfinite(value)) diverged("the loss");
    sum += value;
    (loss / static_cast<double>(scored)).backward();
  }
  return sum / static_cast<double>(scored);
}

void Trainer::diverged(const std::string& what) const {
  const std::string kept = saved_ > 0
                               ? fmt::format("the checkpoint of update {} is kept in {}", saved_, checkpoint_.string())
                               : "no checkpoint was saved yet";
  // Before the first update nothing has been learned that could be wrong.
  if (step_ == 0)
    throw Error(
        fmt::format("update 1: {} is not finite (NaN or Inf) before anything was learned: alpha is too large, "
                    "temperature too small, or the base or the start is damaged",
                    what));
  throw Error(
      fmt::format("update {}: {} is not finite (NaN or Inf): the training has diverged; lower learning_rate, "
                  "bound the gradient with clip, or lengthen warmup; {}",
                  step_ + 1, what, kept));
}

void Trainer::update() {
  const auto examples = order_.of_step(step_, per_step_);
  TrainPoint point;
  point.step = step_ + 1;
  try {
    point.loss = accumulate(examples);
  } catch (const NonFiniteError& error) {
    if (step_ == 0) throw;  // nothing has been learned yet: what was given is damaged
    diverged(fmt::format("the loss ({})", error.what()));
  }
  const c10::NoGradGuard no_gradients;
  point.norm = gradient_norm(*subject_.leaves);
  if (!std::isfinite(point.norm)) diverged("the gradient");
  const double scale = options_.clip > 0 ? std::min(1.0, options_.clip / (point.norm + 1e-6)) : 1.0;
  point.rate = rate_of(options_, step_, steps_);
  adamw_step(*subject_.leaves, options_, point.rate, scale, step_ + 1);
  clear_gradients(*subject_.leaves);
  report_.points.push_back(point);
  ++step_;
}

bool Trainer::is_check_due() const { return validation_ != nullptr && (step_ % check_every_ == 0 || step_ == steps_); }

void Trainer::keep_best(double loss) {
  best_loss_ = loss;
  report_.best_step = step_;
  best_.clear();
  for (const Leaf& leaf : *subject_.leaves) best_.push_back(leaf.value.detach().clone());
}

void Trainer::check() {
  double loss = 0.0;
  try {
    loss = mean_loss(*subject_.model, subject_.composition(0.0, 0), *validation_, options_.temperature);
  } catch (const NonFiniteError& error) {
    diverged(fmt::format("the loss of the validation ({})", error.what()));
  }
  if (!std::isfinite(loss)) diverged("the loss of the validation");
  report_.checks.push_back({step_, loss});
  if (best_.empty() || loss < best_loss_) {
    worse_ = 0;
    keep_best(loss);
  } else {
    ++worse_;
  }
}

void Trainer::report_progress() {
  const double seconds = std::max(1e-9, seconds_now() - started_);
  std::string now = fmt::format("loss {:.4f}, {:.0f} tokens/s", report_.points.back().loss,
                                static_cast<double>(report_.tokens) / seconds);
  if (!report_.checks.empty()) now += fmt::format(", validation {:.4f}", report_.checks.back().loss);
  log_.progress("training", step_, steps_, now);
}

TrainReport Trainer::run() {
  resume();
  started_ = seconds_now();
  log_.progress("training", step_, steps_, {});
  while (step_ < steps_ && !report_.stopped_early) {
    update();
    if (is_check_due()) {
      check();
      report_.stopped_early = options_.patience > 0 && worse_ >= options_.patience && step_ < steps_;
    }
    if (options_.save_every > 0 && (step_ % options_.save_every == 0 || step_ == steps_)) save();
    report_progress();
  }
  if (report_.stopped_early) log_.progress("training", steps_, steps_, "stopped early");
  const c10::NoGradGuard no_gradients;
  for (size_t i = 0; i < best_.size(); ++i) (*subject_.leaves)[i].value.copy_(best_[i]);
  if (best_.empty()) report_.best_step = step_;
  report_.seconds = seconds_now() - started_;
  return report_;
}

void Trainer::save() {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (size_t i = 0; i < subject_.leaves->size(); ++i) {
    const Leaf& leaf = (*subject_.leaves)[i];
    tensors.emplace_back("value." + leaf.name, leaf.value.detach());
    tensors.emplace_back("mean." + leaf.name, leaf.mean);
    tensors.emplace_back("square." + leaf.name, leaf.square);
    if (!best_.empty()) tensors.emplace_back("best." + leaf.name, best_[i]);
  }
  Value state = Value::make_map();
  state.set("fingerprint", Value::text(fingerprint_));
  state.set("step", Value::of_int(step_));
  state.set("best_step", Value::of_int(report_.best_step));
  state.set("worse", Value::of_int(worse_));
  state.set("stopped_early", Value::of(report_.stopped_early));
  state.set("points", curve_value(report_));
  state.set("checks", checks_value(report_));
  save_checkpoint(checkpoint_, tensors, state);
  saved_ = step_;
}

void Trainer::resume() {
  std::error_code ignored;
  if (!std::filesystem::exists(checkpoint_, ignored)) return;
  const Loaded kept = load_kept(checkpoint_);
  const Value* fingerprint = kept.state.is_map() ? kept.state.find("fingerprint") : nullptr;
  if (fingerprint == nullptr || fingerprint->scalar != fingerprint_)
    throw InputError(
        fmt::format("{}: is the checkpoint of another training (other options, examples, base or start); "
                    "remove it, or choose another output",
                    checkpoint_.string()));
  step_ = saved_ = report_.resumed_from = integer_at(kept.state, "step", checkpoint_);
  report_.best_step = integer_at(kept.state, "best_step", checkpoint_);
  worse_ = integer_at(kept.state, "worse", checkpoint_);
  for (const Value& row : list_at(kept.state, "points", checkpoint_)) {
    const auto at = static_cast<std::int64_t>(report_.points.size()) + 1;
    report_.points.push_back(
        {at, number_in(row, 0, checkpoint_), number_in(row, 1, checkpoint_), number_in(row, 2, checkpoint_)});
  }
  for (const Value& row : list_at(kept.state, "checks", checkpoint_))
    report_.checks.push_back(
        {static_cast<std::int64_t>(number_in(row, 0, checkpoint_)), number_in(row, 1, checkpoint_)});
  if (step_ > steps_ || static_cast<std::int64_t>(report_.points.size()) != step_)
    damaged(checkpoint_, "its steps are not as they were saved");
  const Value* early = kept.state.find("stopped_early");
  report_.stopped_early = early != nullptr && early->boolean().value_or(false);
  const c10::NoGradGuard no_gradients;
  const auto fill = [&](const std::string& name, const Tensor& to) {
    const auto found = kept.tensors.find(name);
    if (found == kept.tensors.end() || found->second.sizes() != to.sizes())
      damaged(checkpoint_, fmt::format("tensor '{}' is missing or of another shape", name));
    to.copy_(found->second);
  };
  const bool has_best = !report_.checks.empty();
  for (Leaf& leaf : *subject_.leaves) {
    fill("value." + leaf.name, leaf.value);
    fill("mean." + leaf.name, leaf.mean);
    fill("square." + leaf.name, leaf.square);
    if (!has_best) continue;
    best_.push_back(at::empty_like(leaf.value).detach());
    fill("best." + leaf.name, best_.back());
  }
  for (const TrainCheck& check : report_.checks)
    if (check.step == report_.best_step) best_loss_ = check.loss;
}

}  // namespace weft::train
