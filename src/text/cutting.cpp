#include "text/cutting.h"

#include <algorithm>

namespace weft::text {

namespace {

/// Each match joins the part before it, unless that is a match too.
void merge_backward(std::vector<Part>& parts) {
  std::vector<Part> joined;
  bool previous = false;
  for (const Part& part : parts) {
    if (part.match && !previous && !joined.empty())
      joined.back().end = part.end;
    else
      joined.push_back(part);
    previous = part.match;
  }
  parts = std::move(joined);
}

void merge_forward(std::vector<Part>& parts) {
  std::vector<Part> joined;
  bool previous = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->match && !previous && !joined.empty())
      joined.back().begin = part->begin;
    else
      joined.push_back(*part);
    previous = part->match;
  }
  std::reverse(joined.begin(), joined.end());
  parts = std::move(joined);
}

void merge_runs(std::vector<Part>& parts) {
  std::vector<Part> joined;
  bool previous = false;
  for (const Part& part : parts) {
    if (part.match == previous && !joined.empty())
      joined.back().end = part.end;
    else
      joined.push_back(part);
    previous = part.match;
  }
  parts = std::move(joined);
}

}  // namespace

void settle_parts(std::vector<Part>& parts, Behavior behavior) {
  switch (behavior) {
    case Behavior::kIsolated: return;
    case Behavior::kRemoved: std::erase_if(parts, [](const Part& part) { return part.match; }); return;
    case Behavior::kMergedWithPrevious: return merge_backward(parts);
    case Behavior::kMergedWithNext: return merge_forward(parts);
    case Behavior::kContiguous: return merge_runs(parts);
  }
}

}  // namespace weft::text
