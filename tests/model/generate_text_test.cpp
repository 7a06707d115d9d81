#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/utf8.h"
#include "model/generating.h"
#include "model/stop.h"
#include "support/error_text.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_tokenizer.h"
#include "weft/model/generate.h"

namespace {

using weft::Value;
using weft::model::BaseModel;
using weft::model::GenerateOptions;
using weft::model::Generation;
using weft::model::Stop;
using weft::test::endless;
using weft::test::error_text;
using weft::test::Ids;
using weft::test::integers;
using weft::test::says;
using weft::test::tiny;
using weft::test::up_to;

/// Every sequence with its pieces joined.
struct Streams {
  std::map<size_t, std::string> texts;
  bool valid = true;
  weft::model::OnText collect() {
    return [this](size_t index, std::string_view text) {
      texts[index] += text;
      valid = valid && !text.empty() && weft::io::valid_utf8(text);
    };
  }
};

}  // namespace

TEST_CASE("model/generate: text streams as it becomes final and joins to the whole") {
  const weft::test::TempDir dir;
  const BaseModel model = tiny("llama");
  const auto tokenizer = weft::text::Tokenizer::open(weft::test::write_tiny_tokenizer(dir.path()));
  const std::vector<std::string> prompts = {"abc", "the cat", "x"};
  for (const double temperature : {0.0, 3.0}) {
    GenerateOptions o = endless(40);
    o.temperature = temperature;
    o.max_new_tokens = 30;
    Streams streams;
    const auto got = weft::model::generate(model, tokenizer, prompts, o, {}, streams.collect());
    CHECK(streams.valid);
    for (size_t i = 0; i < prompts.size(); ++i) {
      CHECK(got[i].prompt_ids == tokenizer.encode(prompts[i]));
      CHECK(got[i].text == streams.texts[i]);
      CHECK(got[i].text == tokenizer.decode(got[i].ids));
      CHECK(got[i].ids.size() == 30);
    }
  }
}

TEST_CASE("model/generate: stop strings end a text wherever tokens meet, and never show") {
  const weft::test::TempDir dir;
  const BaseModel model = tiny("llama");
  const auto tokenizer = weft::text::Tokenizer::open(weft::test::write_tiny_tokenizer(dir.path()));
  const std::vector<std::string> prompts = {"abc"};
  GenerateOptions o = endless(24);
  o.temperature = 2.0;
  const Generation free = weft::model::generate(model, tokenizer, prompts, o)[0];
  const std::string letters = free.text.substr(0, free.text.find("\xEF\xBF\xBD"));
  REQUIRE(letters.size() > 8);
  for (size_t at = 0; at + 5 < letters.size(); ++at) {
    // A byte inside é cannot begin or end a stop string.
    const std::string stop = letters.substr(at, 5);
    if (!weft::io::valid_utf8(stop)) continue;
    o.stop = {"never there", stop, stop + "!"};
    Streams streams;
    const Generation got = weft::model::generate(model, tokenizer, prompts, o, {}, streams.collect())[0];
    CHECK(got.stop == Stop::kString);
    CHECK(got.text == free.text.substr(0, free.text.find(stop)));
    CHECK(streams.texts[0] == got.text);
    CHECK(Ids(free.ids.begin(), free.ids.begin() + static_cast<std::ptrdiff_t>(got.ids.size())) == got.ids);
    CHECK(says(tokenizer.decode(got.ids), stop));
    CHECK_FALSE(says(tokenizer.decode(Ids(got.ids.begin(), got.ids.end() - 1)), stop));
  }
  // The beginning of a stop string at the end of the text is text.
  o.stop = {free.text.substr(free.text.size() - 2) + "?"};
  CHECK(weft::model::generate(model, tokenizer, prompts, o)[0].text == free.text);
}

TEST_CASE("model/generate: end tokens are ids, and special ones no text") {
  const weft::test::TempDir dir;
  const BaseModel model = tiny("llama");
  const auto tokenizer = weft::text::Tokenizer::open(weft::test::write_tiny_tokenizer(dir.path()));
  CHECK(model.info().end_tokens == Ids{2});
  GenerateOptions o = up_to(500);
  o.temperature = 3.0;
  const Generation got = weft::model::generate(model, tokenizer, std::vector<std::string>{"abc"}, o)[0];
  CHECK(got.stop == Stop::kEnd);
  CHECK(got.ids.back() == 2);
  CHECK(got.text == tokenizer.decode(got.ids));
  CHECK_FALSE(says(got.text, "</s>"));
}

TEST_CASE("model/stop: a stop string is found however the text is cut") {
  const std::vector<std::string> stops = {"abab", "abc", "c", "xyz\n"};
  const std::string text = "aababxabaxyz ababab", wanted = "a";
  for (size_t first = 0; first <= text.size(); ++first)
    for (size_t second = first; second <= text.size(); ++second) {
      weft::model::StopWatch watch(stops);
      std::string out = watch.push(text.substr(0, first));
      out += watch.push(text.substr(first, second - first));
      out += watch.push(text.substr(second));
      CHECK(out + watch.finish() == wanted);
      CHECK(watch.found());
    }
  weft::model::StopWatch watch(stops);
  CHECK(watch.push("xxaba") == "xx");
  CHECK(watch.push("d xyz") == "abad ");
  CHECK(watch.finish() == "xyz");
  CHECK_FALSE(watch.found());
}

TEST_CASE("model/generate: stories260K writes its published text") {
  const auto folder = weft::test::shared_data("models/stories260K");
  if (folder.empty()) return;
  const BaseModel model = BaseModel::open(folder);
  const auto tokenizer = weft::text::Tokenizer::open(folder);
  for (const Value& story : weft::io::read_json(folder / "golden_forward.json").list) {
    const std::string prompt = story.find("prompt")->scalar;
    const Ids all = integers(story.find("greedy_ids")), prompt_ids = integers(story.find("prompt_ids"));
    const auto fresh = static_cast<std::ptrdiff_t>(prompt_ids.size());
    Streams streams;
    const GenerateOptions o = endless(static_cast<std::int64_t>(all.size()) - fresh);
    const auto got =
        weft::model::generate(model, tokenizer, std::vector<std::string>{prompt}, o, {}, streams.collect());
    CHECK(got[0].prompt_ids == prompt_ids);
    CHECK(got[0].ids == Ids(all.begin() + fresh, all.end()));
    CHECK(prompt + got[0].text == story.find("greedy_text")->scalar);
    CHECK(streams.texts[0] == got[0].text);
  }
}

TEST_CASE("model/generate: stop strings and prompts that are no text are refused") {
  const weft::test::TempDir dir;
  const BaseModel model = tiny("llama");
  const auto tokenizer = weft::text::Tokenizer::open(weft::test::write_tiny_tokenizer(dir.path()));
  const auto refusal = [&](const std::string& prompt, std::vector<std::string> stop) {
    GenerateOptions o;
    o.stop = std::move(stop);
    return error_text([&] { weft::model::generate(model, tokenizer, std::vector<std::string>{prompt}, o); });
  };
  CHECK(says(refusal("a", {"x", ""}), "a stop string is empty"));
  CHECK(says(refusal("a", {"\xFF"}), "a stop string is not UTF-8"));
  CHECK(says(refusal("", {}), "prompt 1 is empty"));
  CHECK(says(refusal("a\xFF", {}), "UTF-8"));
}
