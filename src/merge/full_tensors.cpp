#include "merge/full_tensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace weft::merge {

namespace {

using adapter::FullTensor;

const FullTensor& stored_by(const adapter::Adapter& a, const std::string& name) {
  for (const FullTensor& t : a.full_tensors())
    if (t.name == name) return t;
  throw InputError(fmt::format("{}: no tensor {}", a.info().name, name));
}

std::string owner_names(const adapter::Pool& pool, const std::vector<int>& owners) {
  std::vector<std::string> names;
  for (const int o : owners) names.push_back(pool.adapters()[static_cast<size_t>(o)].info().name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Why the owners' tensors cannot be averaged, or an empty text.
std::string no_mean(const adapter::Pool& pool, const adapter::PoolTensor& t) {
  if (t.info.kind == FullTensor::Kind::kTokenRows) return "token rows replace rows of the base and have no mean";
  for (const int o : t.owners)
    if (stored_by(pool.adapters()[static_cast<size_t>(o)], t.info.name).shape != t.info.shape)
      return "the shapes differ";
  return {};
}

}  // namespace

std::vector<FullDecision> decide_full_tensors(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers,
                                              std::vector<std::string>& warnings) {
  std::vector<FullDecision> out;
  std::vector<std::string> reasons, dropped;
  const std::string source = spec.full_tensors.starts_with("from:") ? spec.full_tensors.substr(5) : "";
  for (const adapter::PoolTensor& t : pool.full_tensors()) {
    FullDecision d{&t, {}};
    if (spec.full_tensors == "drop") {
      dropped.push_back(t.info.name);
    } else if (spec.full_tensors == "mean") {
      const std::string why = t.owners.size() > 1 ? no_mean(pool, t) : "";
      if (why.empty())
        d.from = t.owners;
      else
        reasons.push_back(fmt::format("{} of {}: {}", t.info.name, owner_names(pool, t.owners), why));
    } else if (!source.empty()) {
      for (const int o : t.owners)
        if (pool.adapters()[static_cast<size_t>(o)].info().name == source) d.from = {o};
      if (d.from.empty()) dropped.push_back(t.info.name);
    } else if (t.owners.size() == 1 &&
               raw_weight(spec, static_cast<size_t>(t.owners[0]), layers.locate(t.info.name)) == 1.0) {
      d.from = t.owners;
    } else {
      reasons.push_back(
          fmt::format("{} of {} replaces the base's and cannot be weighed", t.info.name, owner_names(pool, t.owners)));
    }
    out.push_back(std::move(d));
  }
  if (!reasons.empty()) {
    if (reasons.size() > 20) reasons[20] = fmt::format("… and {} more", reasons.size() - 20), reasons.resize(21);
    throw UnsupportedError(
        fmt::format("full tensors (heads, biases, token rows) cannot be composed:\n  {}\nsay what to do with "
                    "full_tensors=from:NAME, full_tensors=mean or full_tensors=drop",
                    fmt::join(reasons, "\n  ")));
  }
  if (!dropped.empty())
    warnings.push_back(
        fmt::format("full_tensors: {} dropped: {}",
                    dropped.size() == 1 ? "one tensor is" : fmt::format("{} tensors are", dropped.size()),
                    fmt::join(dropped, ", ")));
  return out;
}

void write_full_tensors(const adapter::Pool& pool, const std::vector<FullDecision>& decisions,
                        adapter::AdapterWriter& out) {
  for (const FullDecision& d : decisions) {
    if (d.from.empty()) continue;
    const adapter::Adapter& first = pool.adapters()[static_cast<size_t>(d.from[0])];
    const FullTensor& info = stored_by(first, d.tensor->info.name);
    if (d.from.size() == 1) {
      out.add_full(info, first.load_key(info.key), first.info().name);
      continue;
    }
    Tensor sum;
    for (const int o : d.from) {
      const adapter::Adapter& a = pool.adapters()[static_cast<size_t>(o)];
      const Tensor x = a.load_key(stored_by(a, info.name).key).to(at::kDouble);
      sum = sum.defined() ? sum + x : x;
    }
    out.add_full(info, (sum / static_cast<double>(d.from.size())).to(info.dtype));
  }
}

}  // namespace weft::merge
