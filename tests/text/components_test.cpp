#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "text/components.h"

using namespace weft::text;

namespace {

std::string normalized(const std::unique_ptr<const Normalizer>& normalizer, std::string text) {
  bool leading = true;
  normalizer->apply(text, leading);
  return text;
}

using Texts = std::vector<std::string>;

Texts cut(const std::unique_ptr<const PreTokenizer>& pre_tokenizer, const std::string& text) {
  Pieces pieces{text, {{0, text.size(), 1}}};
  pre_tokenizer->apply(pieces);
  Texts texts;
  for (const auto& range : pieces.ranges) texts.emplace_back(pieces.view(range));
  return texts;
}

std::string decoded(const std::unique_ptr<const Decoder>& decoder, Texts tokens) {
  decoder->apply(tokens);
  std::string text;
  for (const auto& token : tokens) text += token;
  return text;
}

// Expected texts are what tokenizers 0.23.3 gives.
const std::string kOdd =
    "  \304\260I\303\237 \303\251e\314\201\357\254\201\302\275 \341\204\200\341\205\241\341\206\250\344\270\255\t"
    "\342\200\215x\315\270\314\201\n";
const std::string kTail = "\344\270\255\t\342\200\215x\315\270\314\201\n";
const std::string kJamo = "\341\204\200\341\205\241\341\206\250";
const std::string kPlain = "Hi, it's  2nd\302\240x!! 12\344\270\255 a_b";
const Texts kTokens = {"\u2581Hi", "##s", "\u0120a", "<0xC3>", "<0xA9>", "<0xFF>", "b</w>", " do not", "\u2581", " ."};

}  // namespace

TEST_CASE("text/components: normalizers") {
  CHECK(normalized(make_unicode_form(Form::kNfc), kOdd) ==
        "  \304\260I\303\237 \303\251\303\251\357\254\201\302\275 \352\260\201" + kTail);
  CHECK(normalized(make_unicode_form(Form::kNfd), kOdd) ==
        "  I\314\207I\303\237 e\314\201e\314\201\357\254\201\302\275 " + kJamo + kTail);
  CHECK(normalized(make_unicode_form(Form::kNfkc), kOdd) ==
        "  \304\260I\303\237 \303\251\303\251fi1\342\201\2042 \352\260\201" + kTail);
  CHECK(normalized(make_unicode_form(Form::kNfkd), kOdd) ==
        "  I\314\207I\303\237 e\314\201e\314\201fi1\342\201\2042 " + kJamo + kTail);
  CHECK(normalized(make_lowercase(), kOdd) ==
        "  i\314\207i\303\237 \303\251e\314\201\357\254\201\302\275 " + kJamo + kTail);
  CHECK(normalized(make_strip(true, true), kOdd) == kOdd.substr(2, kOdd.size() - 3));
  CHECK(normalized(make_strip_accents(), "e\314\201x") == "ex");
  CHECK(normalized(make_nmt(), kOdd) ==
        "  \304\260I\303\237 \303\251e\314\201\357\254\201\302\275 " + kJamo + "\344\270\255  x\315\270\314\201 ");
  CHECK(normalized(make_byte_level_normalizer(), " \303\251\n") == "\304\240\303\203\302\251\304\212");
  CHECK(normalized(make_bert_normalizer(true, true, true, true), kOdd) ==
        "  ii\303\237 ee\357\254\201\302\275 " + kJamo + " \344\270\255  x\315\270 ");
  CHECK(normalized(make_prepend("_"), "a") == "_a");
  CHECK(normalized(make_prepend("_"), "").empty());
  CHECK(normalized(make_replace({"\\s+", true}, "#", "t"), " a\n\tb") == "#a#b");
  CHECK(normalized(make_replace({"``", false}, "\"", "t"), "``a```") == "\"a\"`");
}

TEST_CASE("text/components: a normalizer says when the first character goes") {
  const auto still_leading = [](const std::unique_ptr<const Normalizer>& normalizer, std::string text) {
    bool leading = true;
    normalizer->apply(text, leading);
    return leading;
  };
  CHECK(still_leading(make_strip(true, false), "a "));
  CHECK(!still_leading(make_strip(true, false), " a"));
  CHECK(!still_leading(make_bert_normalizer(true, false, false, false), "\u200da"));
  CHECK(still_leading(make_replace({" ", false}, "_", "t"), " a"));
  CHECK(!still_leading(make_replace({"ab", false}, "_", "t"), "ab"));
}

TEST_CASE("text/components: pre-tokenizers") {
  CHECK(cut(make_byte_level(false, true), kPlain) == Texts{"Hi", ",", "\304\240it", "'s", "\304\240", "\304\2402", "nd",
                                                           "\303\202\305\202", "x", "!!", "\304\24012",
                                                           "\303\244\302\270\305\203", "\304\240a", "_", "b"});
  CHECK(cut(make_byte_level(true, false), "a b") == Texts{"\304\240a\304\240b"});
  CHECK(cut(make_metaspace("\u2581", Prepend::kAlways, true), kPlain) ==
        Texts{"\u2581Hi,", "\u2581it's", "\u2581", "\u25812nd\302\240x!!", "\u258112\344\270\255", "\u2581a_b"});
  CHECK(cut(make_metaspace("\u2581", Prepend::kNever, false), "a  b") == Texts{"a\u2581\u2581b"});
  CHECK(cut(make_whitespace(), kPlain) == Texts{"Hi", ",", "it", "'", "s", "2nd", "x", "!!", "12\344\270\255", "a_b"});
  CHECK(cut(make_whitespace_split(), kPlain) == Texts{"Hi,", "it's", "2nd", "x!!", "12\344\270\255", "a_b"});
  CHECK(cut(make_bert_pre_tokenizer(), kPlain) ==
        Texts{"Hi", ",", "it", "'", "s", "2nd", "x", "!", "!", "12\344\270\255", "a", "_", "b"});
  CHECK(cut(make_punctuation(Behavior::kMergedWithNext), kPlain) ==
        Texts{"Hi", ", it", "'s  2nd\302\240x", "!", "! 12\344\270\255 a", "_b"});
  CHECK(cut(make_digits(false), kPlain) == Texts{"Hi, it's  ", "2", "nd\302\240x!! ", "12", "\344\270\255 a_b"});
  CHECK(cut(make_digits(true), kPlain) == Texts{"Hi, it's  ", "2", "nd\302\240x!! ", "1", "2", "\344\270\255 a_b"});
  CHECK(cut(make_split({"[ai]| +", true}, Behavior::kMergedWithPrevious, false, "t"), kPlain) ==
        Texts{"Hi", ", ", "i", "t's  ", "2nd\302\240x!! ", "12\344\270\255 ", "a", "_b"});
  CHECK(cut(make_split({"\\w+", true}, Behavior::kRemoved, true, "t"), kPlain) ==
        Texts{"Hi", "it", "s", "2nd", "x", "12\344\270\255", "a_b"});
  CHECK(cut(make_split({"!", false}, Behavior::kContiguous, false, "t"), kPlain) ==
        Texts{"Hi, it's  2nd\302\240x", "!!", " 12\344\270\255 a_b"});
}

TEST_CASE("text/components: decoders") {
  CHECK(decoded(make_byte_level_decoder(), kTokens) == "\u2581Hi##s a<0xC3><0xA9><0xFF>b</w> do not\u2581 .");
  CHECK(decoded(make_metaspace_decoder("\u2581", Prepend::kAlways), kTokens) ==
        "Hi##s\u0120a<0xC3><0xA9><0xFF>b</w> do not  .");
  CHECK(decoded(make_wordpiece_decoder("##", true), kTokens) ==
        "\u2581His \u0120a <0xC3> <0xA9> <0xFF> b</w>  don't \u2581 .");
  CHECK(decoded(make_bpe_decoder("</w>"), kTokens) == "\u2581Hi##s\u0120a<0xC3><0xA9><0xFF>b  do not\u2581 .");
  CHECK(decoded(make_byte_fallback_decoder(), kTokens) == "\u2581Hi##s\u0120a\uFFFD\uFFFD\uFFFDb</w> do not\u2581 .");
  CHECK(decoded(make_byte_fallback_decoder(), {"<0xC3>", "<0xA9>", "<0xZZ>"}) == "\u00e9<0xZZ>");
  CHECK(decoded(make_strip_decoder(" ", 1, 1), {"  a ", " ", ""}) == " a");
  CHECK(decoded(make_fuse_decoder(), {}).empty());
}
