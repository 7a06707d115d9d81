#include "nn/products.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nn/recorded.h"

namespace weft::nn {
namespace {

void multiply_add(Tensor& y, const Tensor& x, const Tensor& right, bool accumulate) {
  if (accumulate)
    y.addmm_(x, right);
  else
    at::mm_out(y, x, right);
}

// Half-precision weights, widened a block of outputs at a time.
void multiply_widened(Tensor& y, const Tensor& x, const Tensor& weight, bool transposed, bool accumulate) {
  const std::int64_t rows = weight.size(0), cols = weight.size(1);
  const std::int64_t out = transposed ? cols : rows, in = transposed ? rows : cols;
  const std::int64_t step = block_of_outputs(out, in);
  Tensor buffer = at::empty({step * in}, at::kFloat);
  const auto* stored = static_cast<const char*>(weight.const_data_ptr());
  const std::int64_t size = linalg::stored_size(stored_as(weight));
  for (std::int64_t begin = 0; begin < out; begin += step) {
    const std::int64_t count = std::min(step, out - begin);
    const std::int64_t from = transposed ? begin : begin * weight.stride(0);
    linalg::widen(stored + from * size, stored_as(weight), transposed ? in : count, transposed ? count : in,
                  weight.stride(0), buffer.mutable_data_ptr<float>(), transposed ? count : in);
    const Tensor block = buffer.narrow(0, 0, count * in);
    const Tensor right = transposed ? block.view({in, count}) : block.view({count, in}).t();
    Tensor target = y.narrow(1, begin, count);
    multiply_add(target, x, right, accumulate);
  }
}

}  // namespace

std::int64_t block_of_outputs(std::int64_t out, std::int64_t in) {
  constexpr std::int64_t kNumbers = 1 << 20, kLeast = 512;
  return std::min(out, std::max(kLeast, kNumbers / std::max<std::int64_t>(in, 1)));
}

bool records(const Tensor& tensor) { return c10::GradMode::is_enabled() && tensor.defined() && tensor.requires_grad(); }

bool readable(const Tensor& matrix) {
  const auto type = matrix.scalar_type();
  return matrix.is_cpu() && matrix.dim() == 2 && (matrix.size(1) <= 1 || matrix.stride(1) == 1) &&
         (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf);
}

linalg::Stored stored_as(const Tensor& matrix) {
  if (matrix.scalar_type() == at::kBFloat16) return linalg::Stored::kBFloat16;
  return matrix.scalar_type() == at::kHalf ? linalg::Stored::kFloat16 : linalg::Stored::kFloat32;
}

linalg::FewRowsPart part_of(const Tensor& matrix, bool transposed, Tensor& y) {
  linalg::FewRowsPart part;
  part.w = matrix.const_data_ptr();
  part.type = stored_as(matrix);
  part.out = matrix.size(transposed ? 1 : 0);
  part.ldw = matrix.stride(0);
  part.transposed = transposed;
  part.y = y.mutable_data_ptr<float>();
  part.ldy = y.stride(0);
  return part;
}

void multiply_into(Tensor& y, const Tensor& x, const Tensor& weight, bool transposed, bool accumulate) {
  if (readable(weight) && weight.scalar_type() != at::kFloat && x.size(0) > 0)
    multiply_widened(y, x, weight, transposed, accumulate);
  else
    multiply_add(y, x, transposed ? weight.to(at::kFloat) : weight.to(at::kFloat).t(), accumulate);
}

Tensor linear_map(const Tensor& x, const Tensor& weight, bool transposed, const Tensor& bias) {
  const auto type = x.is_cpu() ? x.scalar_type() : weight.scalar_type();
  const Tensor right = weight.to(type);
  if (bias.defined() && type == at::kFloat && bias.scalar_type() == at::kFloat && x.dim() == 2)
    return at::addmm(bias, x, transposed ? right : right.t());
  Tensor y = at::matmul(x.to(type), transposed ? right : right.t()).to(at::kFloat);
  return bias.defined() ? y + bias.to(at::kFloat) : y;
}

Tensor product(const Tensor& x, const Tensor& weight, bool transposed) {
  if (!x.is_cpu() || records(weight)) return linear_map(x, weight, transposed, {});
  if (records(x)) return recorded_product(x, weight, transposed);
  Tensor y = at::empty({x.size(0), weight.size(transposed ? 1 : 0)}, at::kFloat);
  const Tensor rows = x.contiguous();
  if (x.size(0) <= kFewTokens && readable(weight)) {
    const linalg::FewRowsPart part = part_of(weight, transposed, y);
    linalg::few_rows(rows.const_data_ptr<float>(), rows.size(0), rows.size(1), rows.stride(0), {&part, 1});
  } else {
    multiply_into(y, rows, weight, transposed, /*accumulate=*/false);
  }
  return y;
}

}  // namespace weft::nn
