#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "weft/adapter/writer.h"
#include "weft/merge/merge.h"

namespace weft::test {

/// A preset with weights and one density for all; rank as the preset has it.
inline merge::MergeSpec preset(const std::string& method, const std::vector<double>& weights) {
  merge::MergeSpec spec = merge::find_method(method).spec;
  for (const double w : weights) spec.adapters.push_back({w, {}});
  return spec;
}

/// A rank rule with a number.
inline merge::RankRule fixed_rank(double number) { return {merge::RankRule::Kind::kFixed, number}; }
/// The lossless rank rule.
inline merge::RankRule exact_rank() { return {merge::RankRule::Kind::kExact, 0}; }

/// Merges a pool into a folder and opens what was written.
inline adapter::Adapter merge_to(const std::filesystem::path& out, const adapter::Pool& pool,
                                 const merge::MergeSpec& spec, at::ScalarType dtype = at::kFloat,
                                 merge::MergeReport* report = nullptr) {
  adapter::AdapterWriter writer(out, pool, {dtype, false});
  const merge::MergeReport made = merge::merge(pool, spec, writer);
  if (report != nullptr) *report = made;
  writer.finish(Value::make_map());
  return adapter::Adapter::open(out);
}

/// Block `block` of a module's update, dense in float64; all blocks below each other with block -1.
inline at::Tensor dense_block(const adapter::ModuleUpdate& update, std::int64_t block = -1) {
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < update.blocks.size(); ++i) {
    const adapter::LowRank& u = update.blocks[i];
    if (block < 0 || block == static_cast<std::int64_t>(i))
      rows.push_back(at::mm(u.b.to(at::kDouble), u.a.to(at::kDouble)) * u.scale);
  }
  return at::cat(rows, 0);
}

/// The best approximation of rank `rank`, float64.
inline at::Tensor best_of_rank(const at::Tensor& x, std::int64_t rank) {
  const auto [u, s, vh] = at::linalg_svd(x.to(at::kDouble), false);
  const std::int64_t k = std::min<std::int64_t>(rank, s.size(0));
  return at::mm(u.narrow(1, 0, k) * s.narrow(0, 0, k), vh.narrow(0, 0, k));
}

}  // namespace weft::test
