#pragma once

#include <yaml-cpp/eventhandler.h>

#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "weft/core/value.h"

namespace weft::recipe {

/**
 * Builds a Value from yaml-cpp's events, with places. Limits are enforced while the text is read, so nothing large is
 * ever built: nodes and bytes count every expansion of an alias and every copy kept for one.
 */
class ValueBuilder : public YAML::EventHandler {
 public:
  explicit ValueBuilder(std::string file) : file_(std::move(file)) {}
  /// The document; null if there was none. @throws RecipeError at the first key that is not text.
  Value take();
  /// A mark as a place; without line and column if it has none.
  Place place_of(const YAML::Mark& mark) const;

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  /// An open list or mapping.
  struct Frame {
    Value value;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  ///< a key was read, its value is next
    std::string key;
    Place key_place;
    std::unordered_set<std::string> keys;
    std::vector<std::pair<Value, Place>> merges;  ///< values of `<<`
  };
  struct Anchor {
    Value value;
    size_t nodes = 0, bytes = 0;
  };

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind);
  void close();
  void add(Value value, YAML::anchor_t anchor);
  void add_key(const Value& value);
  void add_entry(Frame& frame, Value value);
  void apply_merges(Frame& frame);
  void remember(YAML::anchor_t anchor, const Value& value);
  void charge(size_t nodes, size_t bytes, const Place& place);

  std::string file_;
  Value root_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  size_t nodes_ = 0, bytes_ = 0;
  int documents_ = 0;
  std::optional<RecipeError>
      bad_key_;  ///< kept until the end: an unclosed bracket makes odd keys, and is the better news
};

}  // namespace weft::recipe
