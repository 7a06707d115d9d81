#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/bytes.h"

namespace weft::io {

/// A decoded pickle value; `items` are indexes into the machine's nodes.
struct PickleNode {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kBigInt,
    kFloat,
    kString,
    kBytes,
    kList,
    kTuple,
    kDict,
    kSet,
    kGlobal,
    kStorage,
    kTensor
  };
  Kind kind = Kind::kNone;
  c10::ScalarType dtype = c10::ScalarType::Undefined;  ///< kStorage
  std::int64_t integer = 0;                            ///< kBool, kInt, kStorage: elements, kTensor: offset
  double real = 0;                                     ///< kFloat
  std::string_view text;  ///< kString, kBytes, kBigInt: in the file; kGlobal: `module.name`; kStorage: its key
  std::vector<std::uint32_t> items;  ///< kDict: key, value, …; kTensor: storage, sizes, strides
};

/**
 * Runs the part of pickle that torch.save's state dicts consist of, building inert nodes. No object is ever made or
 * called: a global outside a short list of names is a FormatError that names it.
 */
class PickleMachine {
 public:
  /// `begin` is where the pickle starts; it may end before `end`.
  PickleMachine(const Bytes& bytes, size_t begin, size_t end, const std::string& file);
  /// Decodes to STOP and returns the root's index.
  std::uint32_t run();
  /// The byte after STOP.
  size_t position() const { return at_; }
  const PickleNode& node(std::uint32_t i) const { return nodes_[i]; }
  const std::vector<PickleNode>& nodes() const { return nodes_; }

 private:
  using Kind = PickleNode::Kind;
  [[noreturn]] void fail(const std::string& what) const;
  bool step(unsigned char op);
  bool step_scalar(unsigned char op);
  bool step_text(unsigned char op);
  bool step_container(unsigned char op);
  bool step_memo(unsigned char op);
  void refuse(unsigned char op);

  std::uint64_t number(size_t width);
  std::string_view take(std::uint64_t length);
  std::string_view line();
  void push(PickleNode node);
  void push_text(Kind kind, std::uint64_t length) { push_kind(kind).text = take(length); }
  PickleNode& push_kind(Kind kind);
  std::uint32_t pop();
  PickleNode& top();
  std::vector<std::uint32_t> pop_to_mark();
  void collect(Kind kind, size_t count);
  void set_items(const std::vector<std::uint32_t>& items);
  void append_items(const std::vector<std::uint32_t>& items);
  void long_integer(std::uint64_t length);

  void global(std::string_view module, std::string_view name);
  void persistent();
  void reduce();
  void rebuild_tensor(const std::vector<std::uint32_t>& args);
  void ordered_dict(const std::vector<std::uint32_t>& args);
  void build();

  const Bytes& bytes_;
  /// A node takes some 80 bytes: this bounds what a hostile file can make us allocate. Real files need ten per tensor.
  static constexpr size_t kMaxNodes = 4'000'000;
  size_t begin_, at_, end_;
  size_t copied_ = 0;
  const std::string& file_;
  std::vector<PickleNode> nodes_;
  std::vector<std::uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<std::uint64_t, std::uint32_t> memo_;
};

}  // namespace weft::io
