#include "text/models/byte_trie.h"

#include <utility>

namespace weft::text {

ByteTrie::Node ByteTrie::step(Node node, char byte) const {
  const std::uint64_t wanted = key(node, byte);
  for (size_t at = start(wanted);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at] == 0) return kNone;
    if (slots_[at] >> 24 == wanted) return static_cast<Node>(slots_[at] & (kMaxNodes - 1));
  }
}

ByteTrie::Node ByteTrie::walk(Node node, std::string_view text) const {
  for (const char byte : text) {
    node = step(node, byte);
    if (node == kNone) break;
  }
  return node;
}

std::int32_t ByteTrie::find(std::string_view text) const {
  const Node node = walk(0, text);
  return node == kNone ? -1 : values_[node];
}

bool ByteTrie::add(std::string_view text, std::int32_t id) {
  Node node = 0;
  for (const char byte : text) {
    Node next = step(node, byte);
    if (next == kNone) {
      if (values_.size() == kMaxNodes) return false;
      if (values_.size() * 2 > slots_.size()) grow();
      next = static_cast<Node>(values_.size());
      values_.push_back(-1);
      size_t at = start(key(node, byte));
      while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = key(node, byte) << 24 | next;
    }
    node = next;
  }
  values_[node] = id;
  return true;
}

void ByteTrie::grow() {
  std::vector<std::uint64_t> old(slots_.size() * 2);
  old.swap(slots_);
  --shift_;
  for (const std::uint64_t slot : old) {
    if (slot == 0) continue;
    size_t at = start(slot >> 24);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

}  // namespace weft::text
