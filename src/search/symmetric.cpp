#include "symmetric.h"

#include <cmath>
#include <limits>
#include <utility>

namespace weft::search {

namespace {

/// The unit vector v, zero before `from`, whose reflection I - 2 v vᵀ maps column `from - 1` below the diagonal onto
/// its first entry; false when the column is there already.
bool reflector(const std::vector<double>& a, size_t n, size_t from, std::vector<double>& v) {
  double tail = 0, largest = 0;
  for (size_t i = from; i < n; ++i) largest = std::max(largest, std::abs(a[i * n + from - 1]));
  if (largest == 0) return false;
  for (size_t i = from; i < n; ++i) {
    v[i] = a[i * n + from - 1] / largest;
    tail += v[i] * v[i];
  }
  if (tail == v[from] * v[from]) return false;
  v[from] += std::copysign(std::sqrt(tail), v[from]);
  double norm = 0;
  for (size_t i = from; i < n; ++i) norm += v[i] * v[i];
  norm = std::sqrt(norm);
  for (size_t i = from; i < n; ++i) v[i] /= norm;
  return true;
}

/// a := H a H and q := H q for the reflection H of v.
void reflect(std::vector<double>& a, std::vector<double>& q, size_t n, size_t from, const std::vector<double>& v) {
  std::vector<double> p(n, 0.0), row(n, 0.0);
  double along = 0;
  for (size_t i = from - 1; i < n; ++i) {
    for (size_t j = from; j < n; ++j) p[i] += a[i * n + j] * v[j];
  }
  for (size_t i = from; i < n; ++i) along += v[i] * p[i];
  for (size_t i = from; i < n; ++i) p[i] -= along * v[i];
  // Row and column from - 1 are outside of v: only their own product with v changes them.
  for (size_t j = from; j < n; ++j) {
    a[(from - 1) * n + j] -= 2 * p[from - 1] * v[j];
    a[j * n + from - 1] = a[(from - 1) * n + j];
  }
  for (size_t i = from; i < n; ++i) {
    for (size_t j = from; j < n; ++j) a[i * n + j] -= 2 * (v[i] * p[j] + p[i] * v[j]);
  }
  for (size_t i = from; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) row[j] += v[i] * q[i * n + j];
  }
  for (size_t i = from; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) q[i * n + j] -= 2 * v[i] * row[j];
  }
}

void rotate_rows(std::vector<double>& q, size_t n, size_t i, double c, double s) {
  double* const low = q.data() + i * n;
  double* const high = low + n;
  for (size_t k = 0; k < n; ++k) {
    const double old = high[k];
    high[k] = s * low[k] + c * old;
    low[k] = c * low[k] - s * old;
  }
}

/// One implicit QL step on the block from l to m of a tridiagonal matrix (diagonal d, below it e).
void ql_step(std::vector<double>& d, std::vector<double>& e, std::vector<double>& q, size_t l, size_t m) {
  const size_t n = d.size();
  const double ratio = (d[l + 1] - d[l]) / (2 * e[l]);
  double g = d[m] - d[l] + e[l] / (ratio + std::copysign(std::hypot(ratio, 1.0), ratio));
  double s = 1, c = 1, shift = 0;
  for (size_t i = m; i-- > l;) {
    const double f = s * e[i], b = c * e[i];
    const double r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {  // the block falls apart
      d[i + 1] -= shift;
      e[m] = 0;
      return;
    }
    s = f / r, c = g / r;
    g = d[i + 1] - shift;
    const double t = (d[i] - g) * s + 2 * c * b;
    shift = s * t;
    d[i + 1] = g + shift;
    g = c * t - b;
    rotate_rows(q, n, i, c, s);
  }
  d[l] -= shift;
  e[l] = g;
  e[m] = 0;
}

bool diagonalise(std::vector<double>& d, std::vector<double>& e, std::vector<double>& q) {
  constexpr int kMostSteps = 60;
  const size_t n = d.size();
  for (size_t l = 0; l < n; ++l) {
    for (int step = 0;; ++step) {
      size_t m = l;
      while (m + 1 < n) {
        const double near = std::abs(d[m]) + std::abs(d[m + 1]);
        if (std::abs(e[m]) <= std::numeric_limits<double>::epsilon() * near) break;
        ++m;
      }
      if (m == l) break;
      if (step == kMostSteps) return false;
      ql_step(d, e, q, l, m);
    }
  }
  return true;
}

}  // namespace

Eigen eigen_symmetric(std::vector<double> matrix, size_t n) {
  Eigen out;
  out.vectors.assign(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) out.vectors[i * n + i] = 1;
  std::vector<double> v(n);
  for (size_t from = 1; from + 1 < n; ++from) {
    if (reflector(matrix, n, from, v)) reflect(matrix, out.vectors, n, from, v);
  }
  out.values.resize(n);
  std::vector<double> below(n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    out.values[i] = matrix[i * n + i];
    if (i + 1 < n) below[i] = matrix[(i + 1) * n + i];
  }
  out.converged = diagonalise(out.values, below, out.vectors);
  return out;
}

}  // namespace weft::search
