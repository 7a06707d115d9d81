#pragma once

#include <string>

#include "io/tensor_file.h"
#include "weft/adapter/adapter.h"

namespace weft::adapter {

/**
 * Fills kind, shape, kernel, groups, rank, dtype and size of a module from its two factors: 2-D pairs are linear,
 * pairs with more dimensions are convolutions `a [r, in, k…]`, `b [out, r / groups, 1…]`.
 * @throws InputError naming `file` and the tensor on shapes that do not fit and on dtypes other than
 *         F64/F32/F16/BF16.
 */
void describe_pair(const io::TensorEntry& a, const io::TensorEntry& b, const std::string& file, ModuleInfo& out);

/// `[8, 768]`.
std::string shape_text(const std::vector<std::int64_t>& shape);
/// @throws InputError unless the entry is F64/F32/F16/BF16 and has no dimension of size 0.
void check_entry(const io::TensorEntry& entry, const std::string& file);

}  // namespace weft::adapter
