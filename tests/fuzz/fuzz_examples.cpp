// Fuzz target of files of examples, and of the templates that shape them.
#include "fuzz/data_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_examples(data, size);
  return 0;
}
