#include "text/models/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <queue>
#include <span>
#include <tuple>

#include "text/models/merge_table.h"
#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// Up to so many symbols the best pair is looked for among all; beyond, a heap is cheaper.
constexpr size_t kShortWord = 24;
/// From so many symbols on it pays to look for places that no merge reaches across.
constexpr size_t kLongText = 200;
constexpr std::int32_t kNoMerge = std::numeric_limits<std::int32_t>::max();

class Bpe final : public Model {
 public:
  Bpe(BpeOptions options, const std::string& file);

  void encode(std::string_view piece, std::vector<std::int64_t>& ids) const override;
  std::optional<std::string_view> token(std::int64_t id) const override { return options_.vocab.token(id); }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const std::int64_t found = options_.vocab.id(token);
    return found < 0 ? std::nullopt : std::optional(found);
  }
  std::int64_t size() const override { return options_.vocab.size(); }

 private:
  void symbols_of(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  bool add_bytes(std::string_view text, std::vector<std::int32_t>& symbols) const;
  std::int32_t unknown() const;
  size_t merge(std::span<std::int32_t> symbols) const;
  size_t merge_short(std::span<std::int32_t> symbols) const;
  size_t merge_long(std::span<std::int32_t> symbols) const;
  void merge_by_parts(std::vector<std::int32_t>& symbols) const;
  void find_seams() const;

  BpeOptions options_;
  std::string file_;
  MergeTable merges_;
  mutable std::once_flag seams_once_;
  mutable std::optional<MergeTable> seams_;    // neighbours that some merge joins; none: not known
  std::array<std::int32_t, 256> byte_ids_{};   // of <0x00> … <0xFF>
  std::array<std::int32_t, 512> short_ids_{};  // of the code points below 512, -1: none
  std::int64_t unk_ = -1;
  bool plain_ = false;  // no prefix and no suffix
};

Bpe::Bpe(BpeOptions options, const std::string& file) : options_(std::move(options)), file_(file) {
  const TokenTable& vocab = options_.vocab;
  const size_t prefix = options_.continuing_subword_prefix.size();
  merges_.reserve(options_.merges.size());
  std::string joined;
  for (size_t i = 0; i < options_.merges.size(); ++i) {
    const auto [left, right] = options_.merges[i];
    const std::string_view tail = *vocab.token(right);
    joined = *vocab.token(left);
    if (tail.size() < prefix)
      throw FormatError(file, fmt::format("model.merges: '{}' is shorter than continuing_subword_prefix", tail));
    joined += tail.substr(prefix);
    const std::int64_t id = vocab.id(joined);
    if (id < 0) throw FormatError(file, fmt::format("model.merges: the vocabulary lacks '{}'", joined));
    merges_.add(left, right, {static_cast<std::int32_t>(i), static_cast<std::int32_t>(id)});
  }
  for (size_t b = 0; b < byte_ids_.size(); ++b)
    byte_ids_[b] = static_cast<std::int32_t>(vocab.id(fmt::format("<0x{:02X}>", b)));
  for (char32_t c = 0; c < short_ids_.size(); ++c) {
    std::string text;
    append_code(text, c);
    short_ids_[c] = static_cast<std::int32_t>(vocab.id(text));
  }
  if (options_.unk_token) unk_ = vocab.id(*options_.unk_token);
  plain_ = prefix == 0 && options_.end_of_word_suffix.empty();
}

std::int32_t Bpe::unknown() const {
  if (unk_ < 0)
    throw InputError(
        fmt::format("{}: the text has a character outside the vocabulary, and the unknown token '{}' is "
                    "not in the vocabulary either",
                    file_, *options_.unk_token));
  return static_cast<std::int32_t>(unk_);
}

/// Byte fallback: the bytes' tokens, if the vocabulary has all of them.
bool Bpe::add_bytes(std::string_view text, std::vector<std::int32_t>& symbols) const {
  const auto known = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)] >= 0; };
  if (!std::all_of(text.begin(), text.end(), known)) return false;
  for (const char byte : text) symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  return true;
}

void Bpe::symbols_of(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  const TokenTable& vocab = options_.vocab;
  std::int32_t pending = -1;  // an unknown token; bytes that follow come before it, as in the library
  std::string spelled;
  for (size_t at = 0; at < piece.size();) {
    const size_t from = at;
    const char32_t code = next_code(piece, at);
    std::string_view text = piece.substr(from, at - from);
    std::int64_t id = -1;
    if (plain_) {
      id = code < short_ids_.size() ? short_ids_[code] : vocab.id(text);
    } else {
      spelled.clear();
      if (from > 0) spelled += options_.continuing_subword_prefix;
      spelled += text;
      if (at == piece.size()) spelled += options_.end_of_word_suffix;
      text = spelled;
      id = vocab.id(text);
    }
    if (id >= 0) {
      if (pending >= 0) symbols.push_back(pending);
      pending = -1;
      symbols.push_back(static_cast<std::int32_t>(id));
    } else if (!(options_.byte_fallback && add_bytes(text, symbols)) && options_.unk_token) {
      if (pending >= 0 && !options_.fuse_unk) symbols.push_back(pending);
      if (pending < 0 || !options_.fuse_unk) pending = unknown();
    }
  }
  if (pending >= 0) symbols.push_back(pending);
}

/// Merges in place; returns how many symbols are left, at the front.
size_t Bpe::merge(std::span<std::int32_t> symbols) const {
  return symbols.size() <= kShortWord ? merge_short(symbols) : merge_long(symbols);
}

size_t Bpe::merge_short(std::span<std::int32_t> symbols) const {
  std::array<MergeTable::Merge, kShortWord> pairs;  // pairs[i]: symbols i and i + 1
  const auto look = [&](size_t i) {
    const MergeTable::Merge* const merge = merges_.find(symbols[i], symbols[i + 1]);
    pairs[i] = merge != nullptr ? *merge : MergeTable::Merge{kNoMerge, 0};
  };
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) look(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == kNoMerge) break;
    symbols[best] = pairs[best].id;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best > 0) look(best - 1);
    if (best + 1 < count) look(best);
  }
  return count;
}

size_t Bpe::merge_long(std::span<std::int32_t> symbols) const {
  struct Candidate {
    std::int32_t rank;
    std::uint32_t at, next;
    std::int32_t left, right, id;
    bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
  };
  constexpr std::uint32_t kEnd = std::numeric_limits<std::uint32_t>::max();
  const auto count = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> before(count), behind(count);
  std::vector<Candidate> heap;
  heap.reserve(count);
  const auto candidate = [&](std::uint32_t at, std::uint32_t next) -> std::optional<Candidate> {
    const MergeTable::Merge* const merge = merges_.find(symbols[at], symbols[next]);
    if (merge == nullptr) return std::nullopt;
    return Candidate{merge->rank, at, next, symbols[at], symbols[next], merge->id};
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    before[i] = i > 0 ? i - 1 : kEnd;
    behind[i] = i + 1 < count ? i + 1 : kEnd;
    if (i + 1 < count)
      if (const auto c = candidate(i, i + 1)) heap.push_back(*c);
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(heap));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    // Outdated when one of its symbols was merged meanwhile; merged-away symbols are -1.
    if (symbols[top.at] != top.left || behind[top.at] != top.next || symbols[top.next] != top.right) continue;
    symbols[top.at] = top.id;
    symbols[top.next] = -1;
    behind[top.at] = behind[top.next];
    if (behind[top.at] != kEnd) {
      before[behind[top.at]] = top.at;
      if (const auto c = candidate(top.at, behind[top.at])) queue.push(*c);
    }
    if (before[top.at] != kEnd)
      if (const auto c = candidate(before[top.at], top.at)) queue.push(*c);
  }
  return static_cast<size_t>(std::remove(symbols.begin(), symbols.end(), -1) - symbols.begin());
}

/// Which characters some merge can bring together: in a long text all other places are seams, where it falls into
/// parts that merge on their own.
void Bpe::find_seams() const {
  const TokenTable& vocab = options_.vocab;
  const auto edge = [&](std::int32_t token, bool last) {
    const std::string_view text = *vocab.token(token);
    if (text.empty()) return std::int32_t{-1};
    size_t at = 0, end = text.size();
    if (last)
      previous_code(text, end);
    else
      next_code(text, at);
    return static_cast<std::int32_t>(vocab.id(last ? text.substr(end) : text.substr(0, at)));
  };
  MergeTable seams;
  seams.reserve(options_.merges.size());
  for (const auto& [left, right] : options_.merges) {
    const std::int32_t before = edge(left, true), behind = edge(right, false);
    // Tokens that do not consist of characters of the vocabulary (bytes, say): no telling.
    const bool whole = std::find(byte_ids_.begin(), byte_ids_.end(), left) == byte_ids_.end() &&
                       std::find(byte_ids_.begin(), byte_ids_.end(), right) == byte_ids_.end();
    if (before < 0 || behind < 0 || !whole || left == unk_ || right == unk_) return;
    seams.add(before, behind, {});
  }
  seams_ = std::move(seams);
}

void Bpe::merge_by_parts(std::vector<std::int32_t>& symbols) const {
  std::call_once(seams_once_, [&] { find_seams(); });
  if (!seams_) return symbols.resize(merge(symbols));
  const std::span<std::int32_t> all(symbols);
  size_t done = 0;
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin + 1;
    while (end < all.size() && seams_->find(all[end - 1], all[end]) != nullptr) ++end;
    const size_t count = merge(all.subspan(begin, end - begin));
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(begin), count,
                all.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
    begin = end;
  }
  symbols.resize(done);
}

void Bpe::encode(std::string_view piece, std::vector<std::int64_t>& ids) const {
  if (piece.empty()) return;
  if (options_.ignore_merges) {
    if (const std::int64_t whole = options_.vocab.id(piece); whole >= 0) return ids.push_back(whole);
  }
  if (piece.size() > std::numeric_limits<std::int32_t>::max())
    throw InputError(fmt::format("{}: a text of {} bytes without a break is too long", file_, piece.size()));
  thread_local std::vector<std::int32_t> symbols;
  symbols.clear();
  symbols_of(piece, symbols);
  if (symbols.size() > kLongText && plain_)
    merge_by_parts(symbols);
  else
    symbols.resize(merge(symbols));
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

}  // namespace

std::pair<std::int32_t, std::int32_t> merge_ids(const TokenTable& vocab, std::string_view left, std::string_view right,
                                                const std::string& file) {
  const auto id_of = [&](std::string_view token) {
    const std::int64_t id = vocab.id(token);
    if (id < 0) throw FormatError(file, fmt::format("model.merges: the vocabulary lacks '{}'", token));
    return static_cast<std::int32_t>(id);
  };
  return {id_of(left), id_of(right)};
}

std::unique_ptr<const Model> make_bpe(BpeOptions options, const std::string& file) {
  return std::make_unique<Bpe>(std::move(options), file);
}

}  // namespace weft::text
