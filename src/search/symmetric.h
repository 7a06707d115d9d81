#pragma once

#include <cstddef>
#include <vector>

namespace weft::search {

/// Eigenvalues and eigenvectors of a symmetric matrix.
struct Eigen {
  std::vector<double> values;   ///< n, in no particular order
  std::vector<double> vectors;  ///< [n, n], one eigenvector per row
  bool converged = false;
};

/// By Householder tridiagonalisation and implicit QL. `matrix`: [n, n], symmetric and finite.
Eigen eigen_symmetric(std::vector<double> matrix, size_t n);

}  // namespace weft::search
