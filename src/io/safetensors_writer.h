#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/tensor.h"

namespace weft::io {

/**
 * Streams tensors to a safetensors file without knowing shapes in advance: room for the header is reserved (from the
 * number and names of the tensors), data follow in the order of add(), the header is written last and padded with
 * spaces, as the format allows (tensors whose length is no multiple of 8 bytes wait in memory and go last, so that
 * everything stays aligned without gaps, which the format forbids). Any failure to write (disk full, read-only) throws
 * Error with the path and the system's reason; the half-written file is the caller's to discard. Data start on an
 * 8-byte boundary, every tensor on a boundary of its item size.
 */
class SafetensorsWriter {
 public:
  /// `names`: every name that will be added. `metadata` becomes `__metadata__` when not empty.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<std::string>& names,
                    std::vector<std::pair<std::string, std::string>> metadata);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;
  /// Writes one tensor (made contiguous, CPU). Names must be distinct and among those announced; any order, some may be
  /// left out.
  void add(const std::string& name, const Tensor& tensor);
  /// Writes the header, flushes to disk (fsync) and closes.
  void finish();
  std::int64_t bytes() const;  ///< data bytes so far

 private:
  struct State;
  State* state_;
};

}  // namespace weft::io
