#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/golden_models.h"
#include "support/temp_dir.h"
#include "support/tiny_tokenizer.h"

namespace {

namespace fs = std::filesystem;
using weft::test::run_cli;

/// A base model with a tokenizer, and runs of `weft generate` on it.
struct GeneratePlace {
  weft::test::TempDir dir;
  std::string base = (dir / "base").string();

  explicit GeneratePlace(const std::string& folder = "llama") {
    fs::copy(weft::test::golden_models() / folder, base);
    weft::test::write_tiny_tokenizer(base);
  }
  weft::test::CliResult run(std::vector<std::string> more) const {
    more.insert(more.begin(), {"generate", "--base", base});
    return run_cli(more);
  }
  /// What a good run prints.
  std::string out(const std::vector<std::string>& more) const {
    const auto result = run(more);
    CHECK_MESSAGE(result.code == 0, result.err);
    CHECK(result.err.empty());
    return result.out;
  }
  weft::Value json(std::vector<std::string> more) const {
    more.emplace_back("--json");
    return weft::io::parse_json(out(more), "out");
  }
  /// The first line that a refused run says.
  std::string error(const std::vector<std::string>& more, int code) const {
    const auto result = run(more);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK(result.err.find("weft: error: ") == 0);
    return result.err.substr(13);
  }
};

bool in_text(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("cli/generate: JSON has ids, text and the reason of the end; plain output is the text") {
  const GeneratePlace place;
  const weft::Value one = place.json({"--prompt", "abc", "--max-new-tokens", "9"});
  CHECK(weft::test::integers(one.find("prompt_ids")) == std::vector<std::int64_t>{3, 4, 5});
  CHECK(one.find("ids")->list.size() == 9);
  CHECK(one.find("stop")->scalar == "length");
  CHECK(place.out({"--prompt", "abc", "--max-new-tokens", "9"}) == one.find("text")->scalar + "\n");
  const auto ids = weft::test::integers(one.find("ids"));
  const weft::Value ended =
      place.json({"--prompt", "abc", "--max-new-tokens", "9", "--end-token", std::to_string(ids[3])});
  CHECK(ended.find("stop")->scalar == "end");
  CHECK(ended.find("ids")->list.size() <= 4);
}

TEST_CASE("cli/generate: several prompts give a list, from options or a file") {
  const GeneratePlace place;
  weft::test::write_text(place.dir / "prompts.txt", "abc\nx y\n");
  const weft::Value list = place.json({"--prompt", "abc", "--prompt", "x y", "--max-new-tokens", "5"});
  REQUIRE(list.list.size() == 2);
  const std::string file = (place.dir / "prompts.txt").string();
  CHECK(place.json({"--prompt-file", file, "--max-new-tokens", "5", "--batch", "1"}).same_as(list));
  CHECK(place.out({"--prompt-file", file, "--max-new-tokens", "5"}) ==
        list.list[0].find("text")->scalar + "\n" + list.list[1].find("text")->scalar + "\n");
}

TEST_CASE("cli/generate: sampling options reach the sampler, equal seeds give equal texts") {
  const GeneratePlace place;
  const std::vector<std::string> drawn = {"--prompt",      "abc", "--max-new-tokens", "20",
                                          "--temperature", "3",   "--ignore-end"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), drawn.begin(), drawn.end());
    return place.out(more);
  };
  CHECK(with({"--seed", "5"}) == with({"--seed", "5"}));
  CHECK(with({"--seed", "5"}) != with({"--seed", "6"}));
  const auto greedy_with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--prompt", "abc", "--max-new-tokens", "20", "--ignore-end"});
    return place.out(more);
  };
  const std::string greedy = greedy_with({});
  CHECK(with({}) != greedy);
  CHECK(with({"--top-k", "1"}) == greedy);
  CHECK(with({"--top-p", "1e-6"}) == greedy);
  CHECK(greedy_with({"--repetition-penalty", "5"}) != greedy);
  const std::string stop = greedy.substr(4, 2);
  CHECK(greedy_with({"--stop", stop, "--stop", "never there"}) == greedy.substr(0, greedy.find(stop)) + "\n");
}

TEST_CASE("cli/generate: adapters and weights count") {
  const GeneratePlace place;
  weft::test::NamedTensors tensors;
  at::manual_seed(1);
  weft::test::add_pair(tensors, "model.layers.0.self_attn.q_proj", 24, 24, 4);
  weft::test::add_pair(tensors, "model.layers.1.mlp.down_proj", 24, 37, 4);
  const std::string adapter = weft::test::write_peft(place.dir / "a",
                                                     R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
                                                        "target_modules": ["q_proj", "down_proj"]})",
                                                     tensors)
                                  .string();
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"--prompt", "abc", "--max-new-tokens", "20", "--ignore-end"};
    all.insert(all.end(), more.begin(), more.end());
    return place.out(all);
  };
  CHECK(with({"--adapter", adapter}) != with({}));
  CHECK(with({"--adapter", adapter, "--weights", "0"}) == with({}));
  CHECK(with({"--adapter", adapter}) ==
        with({"--adapter", "x=" + adapter, "--adapter", "y=" + adapter, "--weights", "0.25,0.75"}));
}

TEST_CASE("cli/generate: what was typed wrongly is named") {
  const GeneratePlace place;
  CHECK(in_text(place.error({}, 2), "--prompt"));
  CHECK(in_text(place.error({"--prompt", "a", "--prompt-file", "x"}, 2), "either --prompt"));
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--max-new-tokens", "x"},
                                                                                      {"--max-new-tokens", "1.5"},
                                                                                      {"--top-k", "few"},
                                                                                      {"--temperature", "nan"},
                                                                                      {"--top-p", "half"},
                                                                                      {"--seed", "1e3"},
                                                                                      {"--batch", "?"}})
    CHECK(in_text(place.error({"--prompt", "a", option, value}, 2), option + " is '" + value + "'"));
  CHECK(in_text(place.error({"--prompt", "a", "--seed", "-1"}, 2), "--seed is -1"));
  CHECK(in_text(place.error({"--prompt", "a", "--temperature", "-1"}, 2), "temperature is -1"));
  CHECK(in_text(place.error({"--prompt", "a", "--max-new-tokens", "0"}, 2), "--max-new-tokens is '0'"));
  CHECK(in_text(place.error({"--prompt", "a", "--stop", ""}, 2), "a stop string is empty"));
  CHECK(in_text(place.error({"--prompt", "a", "--end-token", "nothing"}, 2), "'nothing'"));
  CHECK(in_text(place.error({"--prompt", "a", "--end-token", "2", "--ignore-end"}, 2), "contradict"));
  CHECK(in_text(place.error({"--prompt", ""}, 2), "prompt 1 is empty"));
}

TEST_CASE("cli/generate: files that do not fit are named") {
  const GeneratePlace place("gpt2");
  CHECK(in_text(place.error({"--prompt", "abc", "--max-new-tokens", "38"}, 3), "40 positions"));
  CHECK(place.json({"--prompt", "abc", "--max-new-tokens", "37", "--ignore-end"}).find("ids")->list.size() == 37);
  CHECK(in_text(place.error({"--prompt", "a\xFF"}, 2), "UTF-8"));
  weft::test::write_text(place.dir / "bad.txt", "abc\n\xFF\n");
  CHECK(in_text(place.error({"--prompt-file", (place.dir / "bad.txt").string()}, 3), "bad.txt:2"));
  CHECK(in_text(place.error({"--prompt-file", (place.dir / "none.txt").string()}, 3), "none.txt"));
  const GeneratePlace encoder("bert");
  CHECK(in_text(encoder.error({"--prompt", "abc"}, 2), "encoder"));
}
