#include <doctest/doctest.h>

#include "fuzz/text_targets.h"
#include "support/replay.h"

namespace {

/// These seeds are larger, and slower to open.
constexpr weft::test::Replay kTextReplay = {3000, 40, 10000, 60};

}  // namespace

TEST_CASE("text/corpus: every tokenizer.json seed, whole and damaged, is used or refused") {
  weft::test::replay_corpus(weft::fuzz::try_tokenizer, "tokenizer", 30, kTextReplay);
}

TEST_CASE("text/corpus: every SentencePiece seed, whole and damaged, is used or refused") {
  weft::test::replay_corpus(weft::fuzz::try_sentencepiece, "sentencepiece", 35, kTextReplay);
}
