#pragma once

#include <map>
#include <string>
#include <string_view>

#include "io/pickle_machine.h"

namespace weft::io {

/// Bytes of one storage in the file.
struct StorageRange {
  size_t offset = 0, size = 0;
};

/// torch.save's stream from before 1.6: pickles of a magic number, a protocol, the system, the object, the storage
/// keys, then each storage's element count and bytes. Returns where the object's pickle starts; throws FormatError.
size_t legacy_body(const Bytes& bytes, const std::string& file);

/// Key to bytes of the storages that follow `body`, which has run.
std::map<std::string_view, StorageRange> legacy_storages(const Bytes& bytes, const PickleMachine& body,
                                                         const std::string& file);

}  // namespace weft::io
