// Fuzz target of SentencePiece model files and of what the library makes of texts with them.
#include "fuzz/text_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_sentencepiece(data, size);
  return 0;
}
