#pragma once

#include <vector>

#include "weft/search/optimizer.h"

namespace weft::search {

/**
 * A simplex with scores for linear approximations: a pole (the best vertex, after best_to_pole), the edges from it to
 * the other vertices, and the inverse of the edges' matrix, kept up to date.
 */
class Simplex {
 public:
  Simplex() = default;
  /// A right-angled simplex with edges of `size`, to be filled by set_pole_score and add_first.
  Simplex(const Point& pole, double size);

  void set_pole_score(double score) { scores_.back() = score; }
  /// Vertex j of the first simplex; the pole moves there when it is better.
  void add_first(size_t j, const Point& point, double score, double size);
  /// The inverse from scratch. False: the edges do not span the space.
  bool invert();

  const Point& pole() const { return pole_; }
  double pole_score() const { return scores_.back(); }
  /// From the pole to vertex j.
  const Point& edge(size_t j) const { return edges_[j]; }
  Point from_pole(const Point& step) const;
  /// True if no vertex is farther than `distance` from the pole. Edges are often exactly as long: rounding does not
  /// count.
  bool within(double distance) const;
  /// The vertex farthest from the pole, the first of several that are.
  size_t farthest() const;
  /// Of the linear function through all vertices.
  Point gradient() const;
  /// Across the face opposite to vertex j.
  const Point& normal(size_t j) const { return inverse_[j]; }
  /// Barycentric coordinates of pole + step: those of the vertices, then the pole's.
  std::vector<double> shares(const Point& step) const;
  /// The score of the vertex nearest to `point` if it is within `distance`.
  bool known(const Point& point, double distance, double& score) const;
  /// Puts pole + step in the place of vertex j (the pole itself when j is the dimension), then the best vertex at the
  /// pole. False: rounding has spoilt the simplex.
  bool replace(size_t j, const Point& step, double score);
  /// Moves the pole to the best vertex.
  bool best_to_pole();

 private:
  double inverse_error() const;
  bool repair();

  Point pole_;
  std::vector<Point> edges_, inverse_;  // inverse_[j]: row j of the inverse of the matrix with the edges as columns
  std::vector<double> scores_;          // of the vertices, then of the pole
};

}  // namespace weft::search
