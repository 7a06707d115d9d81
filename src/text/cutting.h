#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/components.h"
#include "text/pipeline.h"

namespace weft::text {

/// A part of a piece: a match or what is between two.
struct Part {
  size_t begin = 0, end = 0;
  bool match = false;
};

/// Joins or drops the parts of a piece as `behavior` says; parts may come out empty.
void settle_parts(std::vector<Part>& parts, Behavior behavior);

/// Cuts all pieces at the matches that `find(piece, matches)` appends.
template <typename Find>
void cut_pieces(Pieces& pieces, Behavior behavior, bool invert, Find find) {
  std::vector<Pieces::Range> ranges;
  ranges.reserve(pieces.ranges.size() + pieces.text.size() / 4);
  std::vector<std::pair<size_t, size_t>> matches;
  std::vector<Part> parts;
  for (const Pieces::Range& range : pieces.ranges) {
    const std::string_view piece = pieces.view(range);
    matches.clear();
    find(piece, matches);
    parts.clear();
    size_t at = 0;
    for (const auto& [begin, end] : matches) {
      if (begin > at) parts.push_back({at, begin, invert});
      parts.push_back({begin, end, !invert});
      at = end;
    }
    if (at < piece.size()) parts.push_back({at, piece.size(), invert});
    settle_parts(parts, behavior);
    for (const Part& part : parts)
      if (part.end > part.begin)
        ranges.push_back({range.begin + part.begin, range.begin + part.end,
                          range.leading > part.begin ? range.leading - part.begin : 0});
  }
  pieces.ranges = std::move(ranges);
}

/// Rewrites all pieces: `write(piece, leading, out)` appends a piece's new text.
template <typename Write>
void rewrite_pieces(Pieces& pieces, Write write) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 2 + 16);
  for (Pieces::Range& range : pieces.ranges) {
    const size_t begin = text.size();
    write(pieces.view(range), range.leading > 0, text);
    range.begin = begin;
    range.end = text.size();
    if (range.leading > 0) range.leading = 1;
  }
  pieces.text = std::move(text);
}

}  // namespace weft::text
