// Fuzz target of the safetensors reader.
#include "fuzz/io_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_safetensors(data, size);
  return 0;
}
