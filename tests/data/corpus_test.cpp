#include <doctest/doctest.h>

#include "fuzz/data_targets.h"
#include "support/replay.h"

TEST_CASE("data/corpus: every seed of examples, whole and damaged, is read or refused") {
  weft::test::replay_corpus(weft::fuzz::try_examples, "examples", 40);
}
