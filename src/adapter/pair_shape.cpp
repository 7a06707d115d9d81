#include "adapter/pair_shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace weft::adapter {

namespace {

[[noreturn]] void pair_misfit(const io::TensorEntry& a, const io::TensorEntry& b, const std::string& file,
                              const std::string& reason) {
  throw InputError(fmt::format("{}: tensors '{}' {} and '{}' {} do not fit together: {}", file, a.name,
                               shape_text(a.shape), b.name, shape_text(b.shape), reason));
}

void describe_conv(const io::TensorEntry& a, const io::TensorEntry& b, const std::string& file, ModuleInfo& out) {
  if (a.shape.size() != b.shape.size() || a.shape.size() > 5)
    pair_misfit(a, b, file, "a convolution's factors have 3 to 5 dimensions each");
  if (std::any_of(b.shape.begin() + 2, b.shape.end(), [](std::int64_t k) { return k != 1; }))
    pair_misfit(a, b, file, "the second factor of a convolution has a kernel of size 1");
  const std::int64_t r = a.shape[0];
  if (r % b.shape[1] != 0 || b.shape[0] % (r / b.shape[1]) != 0)
    pair_misfit(a, b, file, "the rank or the outputs cannot be divided into groups");
  out.layer = LayerKind::kConv;
  out.kernel.assign(a.shape.begin() + 2, a.shape.end());
  out.blocks = r / b.shape[1];
  out.in = a.shape[1];
  for (const std::int64_t k : out.kernel) out.in *= k;
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

void check_entry(const io::TensorEntry& entry, const std::string& file) {
  const c10::ScalarType t = entry.dtype;
  if (t != at::kDouble && t != at::kFloat && t != at::kHalf && t != at::kBFloat16)
    throw InputError(fmt::format("{}: tensor '{}' is {}, expected float64, float32, float16 or bfloat16", file,
                                 entry.name, io::dtype_name(t)));
  if (std::any_of(entry.shape.begin(), entry.shape.end(), [](std::int64_t n) { return n <= 0; }))
    throw InputError(fmt::format("{}: tensor '{}' has shape {}, expected no empty dimension", file, entry.name,
                                 shape_text(entry.shape)));
}

void describe_pair(const io::TensorEntry& a, const io::TensorEntry& b, const std::string& file, ModuleInfo& out) {
  check_entry(a, file);
  check_entry(b, file);
  if (a.shape.size() < 2 || b.shape.size() < 2) pair_misfit(a, b, file, "factors have at least 2 dimensions");
  out.rank = a.shape[0];
  out.out = b.shape[0];
  out.dtype = a.dtype == b.dtype ? a.dtype : c10::promoteTypes(a.dtype, b.dtype);
  out.parameters = a.numel() + b.numel();
  if (a.shape.size() > 2 || b.shape.size() > 2) {
    describe_conv(a, b, file, out);
    return;
  }
  if (b.shape[1] != a.shape[0]) pair_misfit(a, b, file, fmt::format("rank {} against {}", a.shape[0], b.shape[1]));
  out.layer = LayerKind::kLinear;
  out.in = a.shape[1];
}

}  // namespace weft::adapter
