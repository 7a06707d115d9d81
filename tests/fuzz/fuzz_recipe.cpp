// Fuzz target of the recipe parser and writer.
#include "fuzz/recipe_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  weft::fuzz::try_recipe(data, size);
  return 0;
}
