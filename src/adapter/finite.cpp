#include "adapter/finite.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

#include "weft/core/error.h"

namespace weft::adapter {

Tensor load_finite(const io::TensorFile& file, const std::string& key, std::string_view what) {
  Tensor t = file.load(key);
  // A NaN or Inf always shows in the sum; a sum may also overflow on its own, so only a look at each entry decides.
  const auto wide = t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (std::isfinite(at::sum(t, wide).item<double>())) return t;
  const Tensor bad = at::isfinite(t).logical_not().nonzero();
  if (bad.size(0) == 0) return t;
  const Tensor first = bad.select(0, 0).contiguous();
  const std::vector<std::int64_t> index(first.data_ptr<std::int64_t>(), first.data_ptr<std::int64_t>() + first.numel());
  Tensor value = t;
  for (const std::int64_t i : index) value = value.select(0, i);
  throw InputError(fmt::format("{}: tensor '{}' holds {} at [{}] ({} such value{}); the {} is broken",
                               file.path().string(), key, value.item<double>(), fmt::join(index, ", "), bad.size(0),
                               bad.size(0) == 1 ? "" : "s", what));
}

}  // namespace weft::adapter
