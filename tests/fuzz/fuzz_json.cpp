// Fuzz target of the JSON parser and writer.
#include "fuzz/io_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_json(data, size);
  return 0;
}
