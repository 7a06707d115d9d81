#include <fmt/format.h>

#include <algorithm>

#include "weft/recipe/recipe.h"

namespace weft::recipe {

namespace {

constexpr size_t kWidest = 100;  // flow collections longer than this are written in block style

/// Whether text may stand without quotes, in block and flow context, and reads back as the same scalar. Stricter than
/// YAML: yaml-cpp ends plain text in flow context at `?`.
bool may_stand_plain(const std::string& text) {
  if (text.empty() || text.size() > 1000) return false;
  if (text == "~" || text == "null" || text == "Null" || text == "NULL" || text == "<<") return false;
  if (std::string_view("!&*-?|>@`\"'%#:=.,[]{} ").find(text.front()) != std::string_view::npos) {
    const Value number = Value::of(text);
    const bool path = text.starts_with("./") || text.starts_with("../");
    if (!number.number() && !path) return false;
  }
  if (text.back() == ' ' || text.back() == ':') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c <= 0x1F || c >= 0x7F) return false;
    if (std::string_view("[]{},?\"'").find(text[i]) != std::string_view::npos) return false;
    if (text[i] == ':' && (i + 1 == text.size() || text[i + 1] == ' ')) return false;
    if (text[i] == '#' && i > 0 && text[i - 1] == ' ') return false;
  }
  return true;
}

std::string quote_yaml(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string scalar_text(const Value& value) {
  if (value.is_null()) return "null";
  return !value.quoted && may_stand_plain(value.scalar) ? value.scalar : quote_yaml(value.scalar);
}

std::string key_text(const std::string& key) {
  const Value as_scalar = Value::of(key);
  const bool plain = may_stand_plain(key) && !as_scalar.number() && !as_scalar.boolean();
  return plain ? key : quote_yaml(key);
}

bool is_leaf(const Value& value) { return value.is_null() || value.is_scalar(); }

/// Flow text of a value, or nothing when it should stand in block style.
std::string flow_text(const Value& value) {
  if (is_leaf(value)) return scalar_text(value);
  std::string out;
  for (const Value& item : value.list) {
    const std::string text = flow_text(item);
    if (text.empty() || out.size() > kWidest) return {};
    out += (out.empty() ? "" : ", ") + text;
  }
  for (const auto& [key, item] : value.map) {
    const std::string text = flow_text(item);
    if (text.empty() || out.size() > kWidest) return {};
    out += (out.empty() ? "" : ", ") + key_text(key) + ": " + text;
  }
  if (out.size() > kWidest) return {};
  return value.is_list() ? "[" + out + "]" : "{" + out + "}";
}

bool is_list_of_maps(const Value& value) {
  return value.is_list() &&
         std::any_of(value.list.begin(), value.list.end(), [](const Value& v) { return v.is_map(); });
}

void emit_block(const Value& value, size_t indent, std::string& out);

/// A value after `key:` or `-`; `first_inline` lets a mapping begin on the line of its dash.
void emit_after(const Value& value, size_t indent, bool after_dash, std::string& out) {
  const std::string flow = is_list_of_maps(value) ? "" : flow_text(value);
  if (!flow.empty() && !(after_dash && value.is_map() && value.map.size() > 1)) {
    out += " " + flow + "\n";
    return;
  }
  if (after_dash && value.is_map()) {
    std::string block;
    emit_block(value, indent + 2, block);
    out += " " + block.substr(indent + 2);
    return;
  }
  out += "\n";
  emit_block(value, indent + 2, out);
}

void emit_block(const Value& value, size_t indent, std::string& out) {
  const std::string pad(indent, ' ');
  if (is_leaf(value) || (value.map.empty() && value.list.empty())) {
    out += pad + flow_text(value) + "\n";
    return;
  }
  for (const Value& item : value.list) {
    out += pad + "-";
    emit_after(item, indent, true, out);
  }
  for (const auto& [key, item] : value.map) {
    out += pad + key_text(key) + ":";
    emit_after(item, indent, false, out);
  }
}

}  // namespace

std::string to_yaml(const Value& value) {
  std::string out;
  emit_block(value, 0, out);
  return out;
}

}  // namespace weft::recipe
