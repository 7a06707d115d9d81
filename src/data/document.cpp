#include "data/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "io/json_reader.h"

namespace weft::data {

namespace {

using Take = std::function<void(const Record&, const std::vector<Format>&)>;

// BIG-Bench Hard's key, and those of Super-NaturalInstructions.
constexpr const char* kListKey = "examples";
constexpr const char* kInstancesKey = "Instances";
constexpr const char* kDefinitionKey = "Definition";

/// Whether JSON text begins with a whole value.
bool begins_with_value(std::string_view text) {
  try {
    io::JsonReader(text, {}).skip();
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

/// Whether JSON text is good on its first line. `error.path()` is `line LINE:COLUMN`.
bool goes_on_behind_first_line(std::string_view text) {
  try {
    io::JsonReader(text, {}).skip();
    return true;
  } catch (const FormatError& error) {
    return !error.path().starts_with("line 1:");
  }
}

/// Whether the keys of the object are a document's. The text is known to begin with a whole object.
bool has_document_keys(std::string_view text) {
  io::JsonReader reader(text, {});
  bool documents = false, records = false;
  std::string key;
  for (reader.begin_map(); reader.next_key(key); reader.skip()) {
    documents = documents || key == kListKey || key == kInstancesKey || key == kDefinitionKey;
    records = records || is_format_key(key);
  }
  return documents && !records;
}

/// The fields of the outermost object, without the list of records.
Value read_document_fields(std::string_view text, const std::string& file, bool& has_list, bool& has_instances) {
  io::JsonReader reader(text, file);
  Value out = Value::make_map();
  std::string key;
  std::set<std::string> seen;
  for (reader.begin_map(); reader.next_key(key);) {
    const bool is_list = key == kListKey, is_instances = key == kInstancesKey;
    if (!seen.insert(key).second) reader.fail(fmt::format("duplicate key {}", brief_text(key)));
    has_list = has_list || is_list;
    has_instances = has_instances || is_instances;
    if (is_list || is_instances)
      reader.skip();
    else
      out.map.emplace_back(key, reader.value()), out.key_places.push_back(out.map.back().second.place);
  }
  reader.end();
  return out;
}

void take_list(io::JsonReader& reader, const Around& around, const std::vector<Format>& among, const Take& take) {
  reader.begin_list();
  while (reader.next_entry()) {
    const Place place = reader.place();
    take(Record{reader.value(), place, around}, among);
    reader.forget_values();
  }
}

void take_list_under(const char* wanted, std::string_view text, const std::string& file, const Around& around,
                     const std::vector<Format>& among, const Take& take) {
  io::JsonReader reader(text, file);
  std::string key;
  for (reader.begin_map(); reader.next_key(key);) {
    if (key == wanted)
      take_list(reader, around, among, take);
    else
      reader.skip();
  }
}

/// The definition becomes its first text.
void settle_instruction(const std::string& file, Value& fields) {
  const Value* definition = fields.find(kDefinitionKey);
  if (definition == nullptr) throw FormatError(file, "has 'Instances', but no 'Definition'");
  if (definition->is_list() && !definition->list.empty()) definition = &definition->list.front();
  if (!definition->is_scalar() || !definition->quoted || definition->scalar.empty())
    throw FormatError(definition->place.text(),
                      fmt::format("'Definition' is {}, expected a text or a list of texts", brief(*definition)));
  fields.set(kDefinitionKey, Value(*definition));
}

}  // namespace

bool is_document(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || (text[start] != '{' && text[start] != '[')) return false;
  if (text[start] == '[') return true;
  text.remove_prefix(start);
  const size_t line_end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, line_end);
  if (!begins_with_value(line)) return goes_on_behind_first_line(text);
  return text.find_first_not_of(" \t\r\n", line_end) == std::string_view::npos && has_document_keys(line);
}

void read_document(std::string_view text, const std::string& file, Around& around, const Take& take) {
  io::JsonReader reader(text, file);
  if (reader.peek() == io::JsonReader::Kind::kList) {
    take_list(reader, around, formats(), take);
    return reader.end();
  }
  const Place start = reader.place();
  bool has_list = false, has_instances = false;
  Value fields = read_document_fields(text, file, has_list, has_instances);
  if (has_instances || (fields.find(kDefinitionKey) != nullptr && !has_list)) {
    if (!has_instances) throw FormatError(file, "has a 'Definition', but no 'Instances'");
    settle_instruction(file, fields);
    around.fields = std::move(fields);
    static const std::vector<Format> instruction = {instruction_format()};
    return take_list_under(kInstancesKey, text, file, around, instruction, take);
  }
  if (!has_list) return take(Record{std::move(fields), start, around}, formats());
  around.fields = std::move(fields);
  take_list_under(kListKey, text, file, around, formats(), take);
}

}  // namespace weft::data
