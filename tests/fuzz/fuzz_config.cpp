// Fuzz target of a base model's config.json against the headers of a tiny checkpoint.
#include "fuzz/model_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_config(data, size);
  return 0;
}
