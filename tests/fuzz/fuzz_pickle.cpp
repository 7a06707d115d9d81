// Fuzz target of the torch.save reader: zip archives, legacy streams, pickles.
#include "fuzz/io_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_pickle(data, size);
  return 0;
}
