#include "text/sentencepiece_engine.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <unordered_map>
#include <utility>

#include "io/utf8.h"
#include "text/added_splitter.h"
#include "text/sentencepiece_check.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

constexpr std::string_view kBlank = "\u2581";

/// The library's model. Its own error texts are passed on.
void load_processor(sentencepiece::SentencePieceProcessor& processor, const std::string& model,
                    const std::string& file) {
  std::string reason;
  try {
    const auto status = processor.LoadFromSerializedProto(model);
    if (status.ok()) return;
    reason = status.ToString();
  } catch (const std::exception& error) {
    reason = error.what();
  }
  throw FormatError(file, "not a SentencePiece model: " + reason);
}

void append_blanks(std::string& out, std::string_view piece) {
  for (size_t at = 0; at < piece.size();) {
    const size_t next = std::min(piece.find(kBlank, at), piece.size());
    out += piece.substr(at, next - at);
    if (next < piece.size()) out += ' ';
    at = next + (next < piece.size() ? kBlank.size() : 0);
  }
}

/// Bytes of byte pieces as text; U+FFFD for each that is not part of a character.
void append_bytes(std::string& out, std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    size_t length = 1;
    while (length <= 4 && at + length <= bytes.size() && !io::valid_utf8(std::string_view(bytes).substr(at, length)))
      ++length;
    const bool valid = length <= 4 && at + length <= bytes.size();
    out += valid ? std::string_view(bytes).substr(at, length) : std::string_view("\uFFFD");
    at += valid ? length : 1;
  }
  bytes.clear();
}

}  // namespace

struct SentencePieceEngine::State {
  using Type = SentencePieceFacts::Type;

  sentencepiece::SentencePieceProcessor first;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> later;  ///< without the blank before the text, or null
  std::vector<std::string> pieces;
  std::vector<Type> types;
  std::unordered_map<std::string_view, std::int64_t> ids;
  bool dummy_prefix = true, drops_extra_blanks = true;
  std::string unknown_surface;
  AddedSplitter added;
  std::unordered_map<std::int64_t, const AddedToken*> added_by_id;
  std::int64_t size = 0;
  std::string file;

  const AddedToken* added_token(std::int64_t id) const {
    const auto found = added_by_id.find(id);
    return found == added_by_id.end() ? nullptr : found->second;
  }
  void encode_part(std::string_view text, bool start, std::vector<std::int64_t>& out) const;
  void decode_piece(size_t index, bool skip_special, std::string& out, std::string& bytes, bool& start) const;
};

SentencePieceEngine::SentencePieceEngine(std::string_view model, SentencePieceOptions options, const std::string& file)
    : state_(std::make_unique<State>()) {
  SentencePieceFacts facts = check_sentencepiece(model, file);
  load_processor(state_->first, facts.model, file);
  if (!options.prefix_every_part && facts.dummy_prefix) {
    // Messages that come again are merged: normalizer_spec (3) of two bytes, add_dummy_prefix (3) = false.
    facts.model += std::string("\x1A\x02\x18\x00", 4);
    state_->later = std::make_unique<sentencepiece::SentencePieceProcessor>();
    load_processor(*state_->later, facts.model, file);
  }
  state_->pieces.reserve(facts.pieces.size());
  for (const SentencePieceFacts::Piece& piece : facts.pieces) {
    state_->pieces.emplace_back(piece.text);
    state_->types.push_back(piece.type);
  }
  for (size_t i = 0; i < state_->pieces.size(); ++i)
    state_->ids.emplace(state_->pieces[i], static_cast<std::int64_t>(i));
  state_->dummy_prefix = facts.dummy_prefix;
  state_->drops_extra_blanks = facts.drops_extra_blanks;
  state_->unknown_surface = std::move(facts.unknown_surface);
  state_->size = static_cast<std::int64_t>(state_->pieces.size());
  state_->file = file;
}

SentencePieceEngine::~SentencePieceEngine() = default;

void SentencePieceEngine::add(std::vector<AddedToken> added) {
  state_->added = AddedSplitter(std::move(added));
  for (const AddedToken& token : state_->added.tokens()) {
    state_->added_by_id.emplace(token.id, &token);
    state_->size = std::max(state_->size, token.id + 1);
  }
}

std::int64_t SentencePieceEngine::bos() const { return state_->first.bos_id(); }
std::int64_t SentencePieceEngine::eos() const { return state_->first.eos_id(); }
std::int64_t SentencePieceEngine::pad() const { return state_->first.pad_id(); }
std::int64_t SentencePieceEngine::unk() const { return state_->first.unk_id(); }
std::int64_t SentencePieceEngine::pieces() const { return static_cast<std::int64_t>(state_->pieces.size()); }

void SentencePieceEngine::State::encode_part(std::string_view text, bool start, std::vector<std::int64_t>& out) const {
  std::vector<int> found;
  const auto status = (start || later == nullptr ? first : *later).Encode(text, &found);
  if (!status.ok()) throw InputError(fmt::format("{}: SentencePiece refused a text: {}", file, status.ToString()));
  out.insert(out.end(), found.begin(), found.end());
}

void SentencePieceEngine::encode(std::string_view text, std::vector<std::int64_t>& ids) const {
  const auto part = [&](std::string_view rest) { state_->encode_part(rest, rest.data() == text.data(), ids); };
  state_->added.split(text, part, [&](const AddedToken& token) { ids.push_back(token.id); });
}

void SentencePieceEngine::State::decode_piece(size_t index, bool skip_special, std::string& out, std::string& bytes,
                                              bool& start) const {
  std::string_view piece = pieces[index];
  if (types[index] == Type::kByte) {
    bytes.push_back(static_cast<char>(std::stoi(pieces[index].substr(3, 2), nullptr, 16)));
    return;
  }
  append_bytes(out, bytes);
  if (types[index] == Type::kControl) {
    if (!skip_special) out += piece;
    return;
  }
  if (types[index] == Type::kUnknown) {
    out += unknown_surface;
    return;
  }
  start = start && out.empty();
  if (start && (dummy_prefix || drops_extra_blanks) && piece.starts_with(kBlank)) {
    piece.remove_prefix(kBlank.size());
    start = drops_extra_blanks;
  }
  append_blanks(out, piece);
}

std::string SentencePieceEngine::decode(std::span<const std::int64_t> ids, bool skip_special) const {
  std::string out, bytes;
  bool start = true;  // the blank that was put before the text may still come
  for (const std::int64_t id : ids) {
    if (const AddedToken* token = state_->added_token(id)) {
      append_bytes(out, bytes);
      if (!(token->special && skip_special)) out += token->content;
    } else if (id >= 0 && id < pieces()) {
      state_->decode_piece(static_cast<size_t>(id), skip_special, out, bytes, start);
    }
  }
  append_bytes(out, bytes);
  return out;
}

std::optional<std::string_view> SentencePieceEngine::token(std::int64_t id) const {
  if (const AddedToken* token = state_->added_token(id)) return token->content;
  if (id < 0 || id >= pieces()) return std::nullopt;
  return state_->pieces[static_cast<size_t>(id)];
}

std::optional<std::int64_t> SentencePieceEngine::id(std::string_view token) const {
  if (const auto found = state_->ids.find(token); found != state_->ids.end()) return found->second;
  for (const AddedToken& added : state_->added.tokens())
    if (added.content == token) return added.id;
  return std::nullopt;
}

bool SentencePieceEngine::is_special(std::int64_t id) const {
  if (const AddedToken* token = state_->added_token(id)) return token->special;
  return id >= 0 && id < pieces() && state_->types[static_cast<size_t>(id)] == State::Type::kControl;
}

std::int64_t SentencePieceEngine::size() const { return state_->size; }

}  // namespace weft::text
