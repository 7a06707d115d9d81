// Our side of tools/bench/forward: a base model with adapters attached, timed around the forward passes alone.
//   weft_forward_bench BASE [ADAPTER]...   one job, a line of JSON, for every line on stdin; answers in JSON
// A job has "kind" (prefill, decode), "ids" (a list of ids per sequence), "seconds" (to repeat for) and, as needed,
// "feed" (ids appended one by one), "choice" (an adapter per sequence), "weights" (a population of weight vectors) and
// "save" (a file that gets the logits as raw float32). Without choice and weights all adapters have weight 1.
#include <ATen/ATen.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"
#include "model/session.h"
#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/value.h"
#include "weft/model/model.h"

namespace {

using weft::Tensor;
using weft::Value;
using weft::model::BaseModel;
using weft::model::Composition;
using weft::nn::Batch;
using weft::nn::Mix;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Peak resident memory of this process so far, in KiB.
long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/// Resident memory now, in KiB.
long resident_memory() {
  long all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

std::vector<std::int64_t> integers(const Value& list) {
  std::vector<std::int64_t> out;
  for (const Value& item : list.list) out.push_back(item.integer().value());
  return out;
}

Batch batch_of(const Value& job) {
  Batch batch;
  for (const Value& sequence : job.find("ids")->list) batch.ids.push_back(integers(sequence));
  return batch;
}

Mix population_of(const Value& rows) {
  std::vector<float> numbers;
  for (const Value& row : rows.list)
    for (const Value& item : row.list) numbers.push_back(static_cast<float>(item.number().value()));
  Mix mix;
  mix.weights = at::tensor(numbers).view({static_cast<std::int64_t>(rows.list.size()), -1});
  mix.rows = Mix::Rows::kCandidate;
  return mix;
}

Mix mix_of(const Value& job, std::int64_t experts) {
  if (const Value* choice = job.find("choice")) return Mix::choose(integers(*choice), experts);
  if (const Value* weights = job.find("weights")) return population_of(*weights);
  return Mix::of(std::vector<double>(static_cast<size_t>(experts), 1.0));
}

/// What one job measures.
struct Outcome {
  std::vector<double> seconds;
  Tensor logits;  // of the last repetition
};

void prefill(const BaseModel& model, const Batch& batch, const Composition& composition, Outcome& out) {
  const double start = now();
  out.logits = model.logits(batch, composition);
  out.seconds.push_back(now() - start);
}

/// Every step alone, after the prompts.
void decode(const BaseModel& model, const Batch& prompts, const std::vector<std::int64_t>& feed,
            const Composition& composition, Outcome& out) {
  weft::model::Session session(model, composition, prompts);
  std::vector<Tensor> logits = {session.begin()};
  for (const std::int64_t id : feed) {
    const double start = now();
    logits.push_back(session.feed(std::vector<std::int64_t>(prompts.ids.size(), id)));
    out.seconds.push_back(now() - start);
  }
  out.logits = at::cat(logits, 0);
}

Outcome run(const BaseModel& model, const weft::nn::Experts& experts, const Value& job) {
  const Batch batch = batch_of(job);
  Composition composition;
  if (experts.count() > 0) composition = {experts, mix_of(job, experts.count())};
  const bool decodes = job.find("kind")->scalar == "decode";
  const auto feed = decodes ? integers(*job.find("feed")) : std::vector<std::int64_t>();
  Outcome out;
  const double end = now() + job.find("seconds")->number().value();
  do {
    if (decodes)
      decode(model, batch, feed, composition, out);
    else
      prefill(model, batch, composition, out);
  } while (now() < end);
  return out;
}

void save(const std::string& path, const Tensor& logits) {
  const Tensor numbers = logits.contiguous();
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(numbers.const_data_ptr()), static_cast<std::streamsize>(numbers.nbytes()));
  if (!file) throw weft::Error("cannot write " + path);
}

void serve(const std::vector<std::string>& args) {
  const BaseModel model = BaseModel::open(args[0]);
  weft::nn::Experts experts;
  if (args.size() > 1) {
    std::vector<weft::adapter::Pool::Source> sources;
    for (size_t i = 1; i < args.size(); ++i) sources.push_back({args[i], "a" + std::to_string(i)});
    experts = model.attach(weft::adapter::Pool::open(sources));
  }
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const Value job = weft::io::parse_json(line, "stdin");
    Outcome outcome = run(model, experts, job);
    if (const Value* path = job.find("save")) save(path->scalar, outcome.logits);
    outcome.logits.reset();
    std::printf("{\"seconds\": [");
    for (size_t i = 0; i < outcome.seconds.size(); ++i) std::printf("%s%.9f", i == 0 ? "" : ", ", outcome.seconds[i]);
    std::printf("], \"memory_kib\": %ld, \"resident_kib\": %ld}\n", peak_memory(), resident_memory());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty()) {
    std::fputs("usage: weft_forward_bench BASE [ADAPTER]...\n", stderr);
    return 2;
  }
  try {
    serve(args);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "weft_forward_bench: %s\n", e.what());
    return 1;
  }
  return 0;
}
