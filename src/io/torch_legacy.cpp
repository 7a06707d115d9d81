#include "io/torch_legacy.h"

#include <fmt/format.h>

#include "weft/core/error.h"

namespace weft::io {

namespace {

using LegacyKind = PickleNode::Kind;

constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::int64_t kLegacyProtocol = 1001;

void check_little_endian(const PickleMachine& machine, const PickleNode& system, const std::string& file) {
  for (size_t k = 0; k + 1 < system.items.size(); k += 2) {
    const PickleNode& value = machine.node(system.items[k + 1]);
    if (machine.node(system.items[k]).text == "little_endian" && value.kind == LegacyKind::kBool && value.integer == 0)
      throw FormatError(file, "byte order is not little-endian");
  }
}

}  // namespace

size_t legacy_body(const Bytes& bytes, const std::string& file) {
  const std::string_view wrong = "a pickle, but not one that torch.save wrote";
  PickleMachine magic(bytes, 0, bytes.size, file);
  const PickleNode& number = magic.node(magic.run());
  if (number.kind != LegacyKind::kBigInt || number.text != kLegacyMagic) throw FormatError(file, std::string(wrong));
  PickleMachine protocol(bytes, magic.position(), bytes.size, file);
  const PickleNode& version = protocol.node(protocol.run());
  if (version.kind != LegacyKind::kInt || version.integer != kLegacyProtocol)
    throw FormatError(file, fmt::format("torch.save protocol {}, expected {}", version.integer, kLegacyProtocol));
  PickleMachine system(bytes, protocol.position(), bytes.size, file);
  check_little_endian(system, system.node(system.run()), file);
  return system.position();
}

std::map<std::string_view, StorageRange> legacy_storages(const Bytes& bytes, const PickleMachine& body,
                                                         const std::string& file) {
  std::map<std::string_view, const PickleNode*> wanted;
  for (const PickleNode& node : body.nodes())
    if (node.kind == LegacyKind::kStorage) wanted.emplace(node.text, &node);
  PickleMachine keys(bytes, body.position(), bytes.size, file);
  const PickleNode& list = keys.node(keys.run());
  size_t at = keys.position();
  std::map<std::string_view, StorageRange> out;
  for (const std::uint32_t i : list.items) {
    const std::string_view key = keys.node(i).text;
    const auto storage = wanted.find(key);
    if (storage == wanted.end()) throw FormatError(file, fmt::format("storage '{}' belongs to no tensor", key));
    if (bytes.size - at < 8) throw FormatError(file, fmt::format("storage '{}' is cut off: incomplete download?", key));
    const std::uint64_t count = read_le(bytes.data + at, 8);
    at += 8;
    const std::uint64_t item = c10::elementSize(storage->second->dtype);
    if (count > (bytes.size - at) / item)
      throw FormatError(file, fmt::format("storage '{}' of {} elements ends behind the file's {} bytes: incomplete "
                                          "download?",
                                          key, count, bytes.size));
    if (!out.emplace(key, StorageRange{at, static_cast<size_t>(count * item)}).second)
      throw FormatError(file, fmt::format("duplicate storage '{}'", key));
    at += static_cast<size_t>(count * item);
  }
  return out;
}

}  // namespace weft::io
