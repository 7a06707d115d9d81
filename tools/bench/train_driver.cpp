// Our side of tools/bench/train: updates of an adapter, timed one by one.
//   weft_train_bench JOB   one update for every line on stdin; answers in JSON. JOB is a file as train_races.py writes
//   it
#include <ATen/ATen.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "io/json.h"
#include "model/model_data.h"
#include "train/adamw.h"
#include "train/lora.h"
#include "train/loss.h"
#include "weft/adapter/adapter.h"
#include "weft/model/model.h"

namespace {

using weft::Tensor;
using weft::Value;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Processor time of all threads so far, in seconds.
double processor_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Peak resident memory of this process so far, in KiB.
long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::vector<std::int64_t> integers(const Value& list) {
  std::vector<std::int64_t> out;
  for (const Value& item : list.list) out.push_back(item.integer().value());
  return out;
}

std::vector<std::vector<std::int64_t>> rows(const Value& lists) {
  std::vector<std::vector<std::int64_t>> out;
  for (const Value& list : lists.list) out.push_back(integers(list));
  return out;
}

/// A batch as a task of its own: texts, or texts and labels.
weft::train::Task task_of(const Value& batch) {
  weft::train::Task task;
  task.inputs = rows(*batch.find("ids"));
  task.objective = weft::train::Objective::kTokens;
  task.first.assign(task.inputs.size(), 1);
  if (const Value* labels = batch.find("labels")) {
    task.objective = weft::train::Objective::kSimilarity;
    task.label_inputs = rows(*labels);
    task.label = integers(*batch.find("right"));
  }
  return task;
}

class Job {
 public:
  explicit Job(const Value& job)
      : model_(weft::model::BaseModel::open(job.find("base")->scalar)),
        options_(options_of(job)),
        start_(weft::adapter::Adapter::open(job.find("start")->scalar)),
        lora_(model_.data().network, options_, &start_) {
    for (const Value& batch : job.find("batches")->list) tasks_.push_back(task_of(batch));
    lora_.keep_lower_states();  // batches come back, as in the epochs of a training
  }

  /// One update; its loss.
  double update() {
    const weft::train::Task& task = tasks_[static_cast<size_t>(step_) % tasks_.size()];
    std::vector<std::int64_t> all;
    double scored = 0.0;
    for (size_t i = 0; i < task.inputs.size(); ++i) {
      all.push_back(static_cast<std::int64_t>(i));
      scored += task.objective == weft::train::Objective::kTokens ? double(task.inputs[i].size()) - 1.0 : 1.0;
    }
    const weft::model::Composition composition{lora_.experts(0.0, 0), weft::nn::Mix::of({1.0})};
    const Tensor loss = weft::train::loss_sum(model_, composition, task, all, {}, options_.temperature) / scored;
    loss.backward();
    const double norm = weft::train::gradient_norm(lora_.leaves());
    weft::train::adamw_step(lora_.leaves(), options_, options_.learning_rate, std::min(1.0, options_.clip / norm),
                            ++step_);
    weft::train::clear_gradients(lora_.leaves());
    return loss.item().toDouble();
  }

 private:
  static weft::train::TrainOptions options_of(const Value& job) {
    weft::train::TrainOptions options;
    options.lora.rank = job.find("rank")->integer().value();
    options.lora.alpha = double(job.find("alpha")->integer().value());
    for (const Value& target : job.find("targets")->list) options.lora.targets.push_back(target.scalar);
    options.lora.layers = integers(*job.find("layers"));
    return options;
  }

  weft::model::BaseModel model_;
  weft::train::TrainOptions options_;
  weft::adapter::Adapter start_;
  weft::train::LoraLeaves lora_;
  std::vector<weft::train::Task> tasks_;
  std::int64_t step_ = 0;
};

void serve(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Job job(weft::io::parse_json(text, path));
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const double start = now(), used = processor_time();
    const double loss = job.update();
    std::printf("{\"seconds\": %.9f, \"cpu\": %.6f, \"loss\": %.9g, \"memory_kib\": %ld}\n", now() - start,
                processor_time() - used, loss, peak_memory());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: weft_train_bench JOB\n", stderr);
    return 2;
  }
  try {
    serve(argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "weft_train_bench: %s\n", e.what());
    return 1;
  }
  return 0;
}
