#include <doctest/doctest.h>

#include "fuzz/io_targets.h"
#include "support/replay.h"

TEST_CASE("io/corpus: every safetensors seed, whole and damaged, is read or refused") {
  weft::test::replay_corpus(weft::fuzz::try_safetensors, "safetensors", 40);
}

TEST_CASE("io/corpus: every pickle seed, whole and damaged, is read or refused") {
  weft::test::replay_corpus(weft::fuzz::try_pickle, "pickle", 90);
}

TEST_CASE("io/corpus: every JSON seed, whole and damaged, is read or refused") {
  weft::test::replay_corpus(weft::fuzz::try_json, "json", 30);
}
