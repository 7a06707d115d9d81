// Base models, adapters and texts that would give wrong numbers, or none.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_cli.h"
#include "core/staged.h"
#include "io/safetensors_writer.h"
#include "io/tensor_file.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using weft::test::CliResult;
using weft::test::run_cli;
using weft::test::says;
using weft::test::write_text;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A tiny model whose tokens are numbers, and one text for it.
struct ModelPlace {
  weft::test::TempDir dir;
  fs::path base;
  explicit ModelPlace(const std::string& golden = "llama") : base(weft::test::write_id_model(dir / "base", golden)) {
    write_text(dir / "data.jsonl", "{\"text\": \"5 6 7 8\"}\n");
  }
  CliResult eval(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", "--base", base, "--data", dir / "data.jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_cli(arguments);
  }
  CliResult generate(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"generate", "--base", base, "--max-new-tokens", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_cli(arguments);
  }
  /// Puts `value` into the first row of a tensor of the weights.
  void damage(const std::string& name, double value) const {
    const fs::path path = base / "model.safetensors";
    std::vector<std::pair<std::string, at::Tensor>> all;
    std::vector<std::string> names;
    {
      const auto file = weft::io::open_safetensors(path);
      for (const auto& entry : file->entries()) {
        names.push_back(entry.name);
        all.emplace_back(entry.name, file->load(entry.name).clone());
      }
    }
    for (auto& [key, tensor] : all)
      if (key == name) tensor[0].fill_(value);
    weft::io::SafetensorsWriter writer(path, names, {{"format", "pt"}});
    for (const auto& [key, tensor] : all) writer.add(key, tensor);
    writer.finish();
  }
  void edit_config(const std::string& from, const std::string& to) const {
    std::string text = weft::read_file(base / "config.json", size_t{1} << 20);
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    write_text(base / "config.json", text.replace(at, from.size(), to));
  }
};

}  // namespace

TEST_CASE("bad_input/model: NaN, Inf and overflow in queries and keys are found, though attention could hide them") {
  for (const char* module : {"model.layers.1.self_attn.q_proj", "model.layers.0.self_attn.k_proj"})
    for (const double value : {kNan, std::numeric_limits<double>::infinity(), 3e38}) {
      const ModelPlace place;
      place.damage(std::string(module) + ".weight", value);
      for (const CliResult& result : {place.eval(), place.generate({"--prompt", "5 6 7"})}) {
        CHECK(result.code == 3);
        CHECK(result.out.empty());
        CHECK_MESSAGE(says(result.err, "not finite"), result.err);
        if (!std::isfinite(value)) CHECK_MESSAGE(says(result.err, std::string("'") + module + "'"), result.err);
      }
    }
}

TEST_CASE("bad_input/model: an adapter or weights beyond float32 are refused by name") {
  const ModelPlace place;
  weft::test::NamedTensors tensors;
  weft::test::add_pair(tensors, "model.layers.0.self_attn.q_proj", 24, 24, 2);
  weft::test::write_peft(place.dir / "huge", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 1e300})", tensors);
  const CliResult huge = place.eval({"--adapter", place.dir / "huge"});
  CHECK(huge.code == 3);
  CHECK_MESSAGE(says(huge.err, "'model.layers.0.self_attn.q_proj': the scale 5e+299 is too large"), huge.err);
  weft::test::write_peft(place.dir / "good", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2})", tensors);
  const CliResult heavy = place.eval({"--adapter", place.dir / "good", "--weights", "1e300"});
  CHECK(heavy.code == 2);
  CHECK_MESSAGE(says(heavy.err, "--weights: 1e+300 is too large"), heavy.err);
}

TEST_CASE("bad_input/model: weights of more layers or biases than config.json has are mentioned") {
  const ModelPlace place;
  CHECK(place.eval().err.empty());
  place.edit_config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  const CliResult result = place.eval();
  CHECK(result.code == 0);
  CHECK_MESSAGE(says(result.err, "the first is 'model.layers.1."), result.err);
  CHECK(says(run_cli({"inspect", place.base}).err + run_cli({"inspect", place.base, "--json"}).out, "model.layers.1."));
}

TEST_CASE("bad_input/model: a config.json that is no model's is not taken for an adapter") {
  const ModelPlace place;
  for (const char* text : {"{}", "[]", "null"}) {
    write_text(place.base / "config.json", text);
    const CliResult result = run_cli({"inspect", place.base});
    CHECK(result.code == 3);
    CHECK_MESSAGE(says(result.err, "config.json: "), result.err);
  }
}

TEST_CASE("bad_input/model: prompts of a file are named by line, those on the command line are the user's") {
  const ModelPlace place("gpt2");
  std::string longest = "5";
  for (int i = 0; i < 60; ++i) longest += " 6";
  const std::string file = place.dir / "prompts.txt";
  write_text(file, "5 6\n" + longest + "\n");
  CliResult result = place.generate({"--prompt-file", file});
  CHECK(result.code == 3);
  CHECK_MESSAGE(says(result.err, "prompts.txt:2: 61 tokens and 2 new ones are 63"), result.err);
  CHECK(says(result.err, "40 positions"));
  write_text(file, "5 6\n\n");
  result = place.generate({"--prompt-file", file});
  CHECK(result.code == 3);
  CHECK_MESSAGE(says(result.err, "prompts.txt:2: the prompt is empty"), result.err);
  result = place.generate({"--prompt", "5\xff"});
  CHECK(result.code == 2);
  CHECK(says(result.err, "--prompt is not UTF-8"));
}

TEST_CASE("bad_input/model: many prompts beyond the positions give one warning") {
  const ModelPlace place;
  place.edit_config("\"max_position_embeddings\": ", "\"max_position_embeddings\": 1, \"unused\": ");
  const CliResult result = place.generate({"--prompt", "5 6", "--prompt", "7", "--prompt", "8"});
  CHECK(result.code == 0);
  CHECK_MESSAGE(says(result.err, "so are 2 prompts more"), result.err);
  CHECK_FALSE(says(result.err, "prompt 2"));
}

TEST_CASE("bad_input/model: a tokenizer whose normalizer multiplies a text without end is refused") {
  const weft::test::TempDir dir;
  const auto write = [&](const std::string& step, int times) {
    std::string steps;
    for (int i = 0; i < times; ++i) steps += (i > 0 ? "," : "") + step;
    write_text(dir / "tokenizer.json", R"({"normalizer": {"type": "Sequence", "normalizers": [)" + steps +
                                           R"(]}, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
  };
  const std::string replace = R"({"type": "Replace", "pattern": {"String": "a"}, "content": ")";
  for (const auto& [step, times] :
       {std::pair(replace + std::string(1000, 'a') + "\"}", 6), std::pair(replace + "aa\"}", 60),
        std::pair(std::string(R"({"type": "ByteLevel"})"), 60)}) {
    write(step, times);
    const CliResult result = run_cli({"tokenize", "--base", dir.path(), "--text", "aé"});
    CHECK(result.code == 3);
    CHECK_MESSAGE(says(result.err, "tokenizer.json: its normalizer turns"), result.err);
  }
  const CliResult result = run_cli({"tokenize", "--base", "", "--text", "a"});
  CHECK(result.code == 2);
}

TEST_CASE("bad_input/model: a sentence_bert_config.json that is no object is refused") {
  const ModelPlace place("bert_sentence");
  write_text(place.base / "sentence_bert_config.json", "[]");
  write_text(place.dir / "texts.txt", "5 6\n");
  const CliResult result =
      run_cli({"embed", "--base", place.base, "--file", place.dir / "texts.txt", "-o", place.dir / "out"});
  CHECK(result.code == 3);
  CHECK_MESSAGE(says(result.err, "sentence_bert_config.json: "), result.err);
  CHECK_FALSE(fs::exists(place.dir / "out"));
}

TEST_CASE("bad_input/model: an option given twice is said in plain words") {
  const CliResult result = run_cli({"eval", "--base", "a", "--base", "b", "--data", "c"});
  CHECK(result.code == 2);
  CHECK_MESSAGE(says(result.err, "--base is given more than once"), result.err);
}
