#include "weft/nn/batch.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weft::nn {

Batch Batch::from_padded(const Tensor& ids, const Tensor& mask) {
  if (ids.dim() != 2 || ids.sizes() != mask.sizes())
    throw UsageError(fmt::format("ids are [{}] and their mask is [{}], expected two tables of the same shape",
                                 fmt::join(ids.sizes(), ", "), fmt::join(mask.sizes(), ", ")));
  const Tensor table = ids.to(at::kCPU, at::kLong).contiguous(), kept = mask.to(at::kCPU, at::kBool).contiguous();
  Batch out;
  for (std::int64_t i = 0; i < table.size(0); ++i) {
    const std::int64_t* id = table.const_data_ptr<std::int64_t>() + i * table.size(1);
    const bool* keep = kept.const_data_ptr<bool>() + i * table.size(1);
    std::vector<std::int64_t> row;
    for (std::int64_t t = 0; t < table.size(1); ++t)
      if (keep[t]) row.push_back(id[t]);
    if (row.empty()) throw UsageError(fmt::format("row {} of the batch is all padding", i));
    out.ids.push_back(std::move(row));
  }
  return out;
}

std::int64_t Batch::tokens() const {
  std::int64_t out = 0;
  for (const auto& sequence : ids) out += static_cast<std::int64_t>(sequence.size());
  return out;
}

}  // namespace weft::nn
