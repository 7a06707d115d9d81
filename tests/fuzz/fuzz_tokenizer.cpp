// Fuzz target of tokenizer.json and of what it makes of texts.
#include "fuzz/text_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_tokenizer(data, size);
  return 0;
}
