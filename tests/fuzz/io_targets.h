#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "io/json.h"
#include "io/safetensors.h"
#include "io/torch_pickle.h"
#include "weft/core/error.h"

namespace weft::fuzz {

/// Loads every tensor of an opened file, up to a total that keeps a run short.
inline void load_all(const io::TensorFile& file) {
  std::size_t left = std::size_t{16} << 20;
  for (const io::TensorEntry& entry : file.entries()) {
    const Tensor tensor = file.load(entry.name);
    if (tensor.nbytes() > left) return;
    left -= tensor.nbytes();
    file.release(entry.name);
  }
}

inline io::Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  return io::Bytes::of(std::as_bytes(std::span(data, size)));
}

/// Anything may be refused with an InputError, nothing else may happen.
inline void try_safetensors(const std::uint8_t* data, std::size_t size) {
  try {
    load_all(*io::read_safetensors(bytes_of(data, size), "fuzz.safetensors"));
  } catch (const InputError&) {
  }
}

/// As try_safetensors.
inline void try_pickle(const std::uint8_t* data, std::size_t size) {
  try {
    load_all(*io::read_torch_pickle(bytes_of(data, size), "fuzz.bin"));
  } catch (const InputError&) {
  }
}

/// What is accepted must survive a round trip through text. Aborts if not.
inline void try_json(const std::uint8_t* data, std::size_t size) {
  std::string text;
  try {
    text = io::to_json(io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json"));
  } catch (const FormatError&) {
    return;
  }
  if (io::to_json(io::parse_json(text, "again.json")) != text) std::abort();
}

}  // namespace weft::fuzz
