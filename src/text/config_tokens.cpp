#include "text/config_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "io/json.h"
#include "text/token_table.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// Collects tokens and gives ids to those that have none.
class TokenCollector {
 public:
  TokenCollector(const KnownTokens& known, std::string file) : known_(known), file_(std::move(file)) {}

  /// A token whose id is written down.
  void add(AddedToken token) {
    if (token.content.empty()) fail(fmt::format("added token {} is empty", token.id));
    if (token.id < 0 || token.id > kMaxTokenId) fail(fmt::format("'{}' has the id {}", token.content, token.id));
    const auto own = known_.id(token.content);
    if (own && *own != token.id)
      fail(fmt::format("'{}' has the id {}, in the vocabulary {}", token.content, token.id, *own));
    const auto other = known_.token(token.id);
    if (other && *other != token.content)
      fail(fmt::format("id {} is '{}', in the vocabulary '{}'", token.id, token.content, *other));
    if (!names_.insert(token.content).second || !ids_.insert(token.id).second)
      fail(fmt::format("the added token '{}' or its id {} is there twice", token.content, token.id));
    tokens_.push_back(std::move(token));
  }

  /// A special token that may be there already.
  void add_special(AddedToken token) {
    if (token.content.empty()) return;
    if (names_.contains(token.content)) {
      for (AddedToken& there : tokens_) there.special |= there.content == token.content;
      return;
    }
    token.special = true;
    const auto own = known_.id(token.content);
    token.id = own ? *own : std::max(known_.size, ids_.empty() ? 0 : *ids_.rbegin() + 1);
    add(std::move(token));
  }

  std::vector<AddedToken> finish() {
    std::sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return std::move(tokens_);
  }
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(file_, what); }

 private:
  const KnownTokens& known_;
  std::string file_;
  std::vector<AddedToken> tokens_;
  std::set<std::string> names_;
  std::set<std::int64_t> ids_;
};

/// A token as text, or as a mapping with its options.
AddedToken config_token(const Value& value) {
  AddedToken token;
  if (value.is_scalar() && value.quoted) token.content = value.scalar;
  if (!value.is_map()) return token;
  if (const Value* content = value.find("content"); content != nullptr && content->is_scalar())
    token.content = content->scalar;
  const auto flag = [&](std::string_view key) {
    const Value* there = value.find(key);
    return there != nullptr && there->is_scalar() && there->boolean().value_or(false);
  };
  token.special = flag("special");
  token.single_word = flag("single_word");
  token.lstrip = flag("lstrip");
  token.rstrip = flag("rstrip");
  token.normalized = flag("normalized");
  return token;
}

std::int64_t config_id(const std::string& key, const TokenCollector& out) {
  std::int64_t id = -1;
  const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
  if (end.ec != std::errc() || end.ptr != key.data() + key.size())
    out.fail(fmt::format("added_tokens_decoder: '{}' is not an id", key));
  return id;
}

void collect_written(const ConfigFiles& config, const std::filesystem::path& folder, TokenCollector& out) {
  const Value* decoder = config.config.is_map() ? config.config.find("added_tokens_decoder") : nullptr;
  if (decoder != nullptr && decoder->is_map()) {
    for (const auto& [key, value] : decoder->map) {
      AddedToken token = config_token(value);
      token.id = config_id(key, out);
      out.add(std::move(token));
    }
    return;
  }
  const std::filesystem::path path = folder / "added_tokens.json";
  if (!std::filesystem::exists(path)) return;
  const Value tokens = io::read_json(path);
  if (!tokens.is_map()) throw FormatError(path.string(), "expected a mapping of tokens to ids");
  for (const auto& [text, id] : tokens.map) {
    AddedToken token;
    token.content = text;
    token.id = id.is_scalar() ? id.integer().value_or(-1) : -1;
    token.normalized = true;
    out.add(std::move(token));
  }
}

void collect_special(const ConfigFiles& config, const std::filesystem::path& folder,
                     const std::vector<std::string>& more, TokenCollector& out) {
  const std::filesystem::path path = folder / "special_tokens_map.json";
  const Value map = std::filesystem::exists(path) ? io::read_json(path) : Value();
  const auto find = [&](const char* key) -> const Value* {
    const Value* value = config.config.is_map() ? config.config.find(key) : nullptr;
    return value == nullptr && map.is_map() ? map.find(key) : value;
  };
  const auto by_role = [&](const char* role, const std::optional<std::string>& text) {
    const Value* value = find(role);
    AddedToken token = value != nullptr ? config_token(*value) : AddedToken{};
    if (text && token.content != *text) {
      token = AddedToken{};
      token.content = *text;
    }
    out.add_special(std::move(token));
  };
  by_role("bos_token", config.bos);
  by_role("eos_token", config.eos);
  by_role("unk_token", config.unk);
  by_role("sep_token", std::nullopt);
  by_role("pad_token", config.pad);
  by_role("cls_token", std::nullopt);
  by_role("mask_token", std::nullopt);
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const Value* list = find(key);
    if (list == nullptr || !list->is_list()) continue;
    for (const Value& value : list->list) out.add_special(config_token(value));
  }
  for (const std::string& text : more) {
    AddedToken token;
    token.content = text;
    out.add_special(std::move(token));
  }
}

}  // namespace

std::vector<AddedToken> config_added_tokens(const ConfigFiles& config, const std::filesystem::path& folder,
                                            const std::vector<std::string>& more, const KnownTokens& known) {
  TokenCollector out(known, (folder / "tokenizer_config.json").string());
  collect_written(config, folder, out);
  collect_special(config, folder, more, out);
  return out.finish();
}

}  // namespace weft::text
