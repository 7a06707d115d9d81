#include "train/record.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/json.h"
#include "io/sha256.h"
#include "model/model_data.h"

namespace weft::train {
namespace {

/// The first bytes of every weight: enough to tell two models from each other, little to read.
std::string sample_of(const model::BaseModel& model) {
  std::string bytes = model.info().family;
  const auto add = [&bytes](const std::string& name, const Tensor& weight) {
    constexpr std::int64_t kBytes = 4096;
    if (!weight.defined() || weight.numel() == 0) return;
    bytes += name;
    const std::int64_t count = std::min<std::int64_t>(weight.numel(), kBytes / weight.element_size());
    const Tensor some = weight.detach().flatten().narrow(0, 0, count).cpu().contiguous();
    bytes.append(static_cast<const char*>(some.const_data_ptr()), static_cast<size_t>(some.nbytes()));
  };
  nn::Network network = model.data().network;
  network.visit(
      [&](nn::LinearGroup& group) {
        for (const nn::Linear& part : group.parts) add(part.name, part.weight);
      },
      [&](nn::Embedding& table) { add(table.name, table.weight); },
      [&](nn::Norm& norm) { add(norm.name, norm.weight); });
  return io::sha256(bytes.data(), bytes.size());
}

Value examples_record(const data::Examples& examples, const Task& task) {
  Value out = Value::make_map();
  out.set("file", Value::text(examples.file.filename().string()));
  out.set("count", Value::of_int(task.count()));
  out.set("sha256", Value::text(task.fingerprint()));
  return out;
}

const char* objective_name(Objective objective) {
  switch (objective) {
    case Objective::kTokens: return "tokens";
    case Objective::kTarget: return "target";
    case Objective::kHead: return "head";
    case Objective::kSimilarity: return "similarity";
  }
  return "";
}

}  // namespace

std::string fingerprint_of(const model::BaseModel& model, const TrainJob& job, const Task& task,
                           const Task* validation) {
  std::string all = io::to_json(to_value(job.options), -1) + sample_of(model) + task.fingerprint();
  if (validation != nullptr) all += validation->fingerprint();
  if (job.start) all += io::sha256_file(job.start->info().tensors) + io::to_json(job.start->info().config, -1);
  return io::sha256(all.data(), all.size());
}

Value record_of(const TrainJob& job, const Task& task, const TrainReport& report) {
  Value out = Value::make_map();
  out.set("objective", Value::text(objective_name(task.objective)));
  out.set("options", to_value(job.options));
  out.set("examples", examples_record(job.examples, task));
  if (!task.labels.empty() && task.objective == Objective::kSimilarity) {
    Value labels = Value::make_list();
    for (const std::string& label : task.labels) labels.list.push_back(Value::text(label));
    out.set("labels", std::move(labels));
  }
  if (job.start) out.set("start", job.initial.is_null() ? Value::text(job.start->info().name) : job.initial);
  out.set("parameters", Value::of_int(report.parameters));
  out.set("steps", Value::of_int(static_cast<long long>(report.points.size())));
  out.set("best_step", Value::of_int(report.best_step));
  Value losses = Value::make_list();
  for (const TrainPoint& point : report.points) losses.list.push_back(Value::of(fmt::format("{:.6g}", point.loss)));
  out.set("losses", std::move(losses));
  Value checks = Value::make_list();
  for (const TrainCheck& check : report.checks) {
    Value row = Value::make_map();
    row.set("step", Value::of_int(check.step));
    row.set("loss", Value::of(check.loss));
    checks.list.push_back(std::move(row));
  }
  if (!checks.list.empty()) out.set("validation", std::move(checks));
  Value root = Value::make_map();
  root.set("train", std::move(out));
  return root;
}

}  // namespace weft::train
