#include "weft/adapter/writer.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "adapter/writer_check.h"
#include "adapter/writer_config.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "support/make_adapter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

constexpr const char* kInputConfig = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM",
  "base_model_name_or_path": "tiny", "lora_dropout": 0.1, "some_new_key": null, "use_rslora": false})";

const WriteOptions kSingle{};

std::string thrown_text(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Tensor dense_block(const LowRank& x) { return at::matmul(x.b.to(at::kDouble), x.a.to(at::kDouble)).mul(x.scale); }

double block_error(const LowRank& got, const LowRank& want) {
  const Tensor reference = dense_block(want);
  return (dense_block(got) - reference).norm().item<double>() / (reference.norm().item<double>() + 1e-300);
}

/// Everything in a folder besides the named entry.
std::vector<std::string> others_in(const std::filesystem::path& folder, const std::vector<std::string>& known) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (std::find(known.begin(), known.end(), entry.path().filename().string()) == known.end())
      out.push_back(entry.path().filename().string());
  return out;
}

/// Adds every module of every adapter of a pool as it is (the pool's modules must have one owner each).
void add_all(AdapterWriter& writer, const Pool& pool) {
  for (const PoolModule& m : pool.modules()) {
    const Adapter& owner = pool.adapters()[static_cast<size_t>(m.owners[0])];
    const ModuleInfo& info = owner.modules()[static_cast<size_t>(m.slots[0])];
    const ModuleUpdate update = owner.load(info);
    const Tensor bias = update.bias.defined() ? update.bias.to(at::kFloat).mul(update.blocks[0].scale) : Tensor();
    writer.add(m.info, update.blocks, bias);
  }
}

struct WriterCase {
  std::string name, config;
  test::NamedTensors tensors;
};

/// One input per kind of layer, all small.
std::vector<WriterCase> layer_cases() {
  at::manual_seed(11);
  const std::string p = "base_model.model.";
  const std::string plain = kInputConfig;
  std::vector<WriterCase> cases;
  WriterCase linear{"linear", plain, {}};
  test::add_pair(linear.tensors, "l.0.q", 10, 6, 4);
  test::add_pair(linear.tensors, "l.1.q", 10, 6, 4);
  cases.push_back(linear);
  cases.push_back(
      {"embedding",
       plain,
       {{p + "wte.lora_embedding_A", at::randn({4, 30})}, {p + "wte.lora_embedding_B", at::randn({8, 4})}}});
  cases.push_back(
      {"conv2d",
       plain,
       {{p + "conv.lora_A.weight", at::randn({4, 3, 3, 2})}, {p + "conv.lora_B.weight", at::randn({6, 4, 1, 1})}}});
  cases.push_back(
      {"conv1d",
       plain,
       {{p + "conv.lora_A.weight", at::randn({4, 3, 5})}, {p + "conv.lora_B.weight", at::randn({6, 4, 1})}}});
  cases.push_back(
      {"grouped_conv",
       plain,
       {{p + "conv.lora_A.weight", at::randn({4, 8, 3, 3})}, {p + "conv.lora_B.weight", at::randn({6, 2, 1, 1})}}});
  cases.push_back({"experts",
                   R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "target_modules": [],
                       "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]})",
                   {{p + "l.0.mlp.experts.base_layer.lora_A.weight", at::randn({6, 5})},
                    {p + "l.0.mlp.experts.base_layer.lora_B.weight", at::randn({8, 6})},
                    {p + "l.0.mlp.experts.lora_A.weight", at::randn({6, 4})},
                    {p + "l.0.mlp.experts.lora_B.weight", at::randn({5, 6})}}});
  WriterCase biased{"lora_bias",
                    R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_bias": true})",
                    {{p + "l.0.q.lora_B.bias", at::randn({10})}}};
  test::add_pair(biased.tensors, "l.0.q", 10, 6, 4);
  cases.push_back(biased);
  return cases;
}

/// Largest relative error of one rounding of both factors, for a block of small random numbers.
double rounding_of(c10::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble: return 1e-14;
    case at::kFloat: return 3e-7;
    case at::kHalf: return 2e-3;
    default: return 2e-2;  // bfloat16: 2^-8 per factor
  }
}

}  // namespace

TEST_CASE("adapter/writer: every kind of layer survives a round trip in every dtype") {
  for (const WriterCase& c : layer_cases())
    for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
      INFO(c.name << " in " << io::dtype_name(dtype));
      test::TempDir dir;
      const Pool pool = Pool::open({{test::write_peft(dir / "in", c.config, c.tensors), ""}});
      AdapterWriter writer(dir / "out", pool, {dtype, false});
      add_all(writer, pool);
      writer.finish(Value());
      const Adapter out = Adapter::open(dir / "out");
      REQUIRE(out.modules().size() == pool.modules().size());
      for (const ModuleInfo& want : pool.adapters()[0].modules()) {
        const ModuleInfo* got = out.find(want.name);
        REQUIRE(got != nullptr);
        CHECK(got->layer == want.layer);
        CHECK(got->kernel == want.kernel);
        CHECK(got->scale == 1.0);
        CHECK(got->rank == want.rank);
        CHECK((got->dtype == dtype));
        const ModuleUpdate was = pool.adapters()[0].load(want), is = out.load(*got);
        REQUIRE(is.blocks.size() == was.blocks.size());
        for (size_t e = 0; e < is.blocks.size(); ++e)
          CHECK(block_error(is.blocks[e], was.blocks[e]) <= rounding_of(dtype));
        CHECK(is.bias.defined() == was.bias.defined());
      }
      CHECK(others_in(dir.path(), {"in", "out"}).empty());
    }
}

TEST_CASE("adapter/writer: a scale that is a power of two changes no digit") {
  test::TempDir dir;
  at::manual_seed(5);
  for (const double alpha : {0.25, 1.0, 2.0, 4.0, 8.0, 32.0}) {
    test::NamedTensors tensors;
    test::add_pair(tensors, "q", 10, 6, 4);
    const std::string config = R"({"peft_type": "LORA", "r": 4, "lora_alpha": )" + std::to_string(alpha) + "}";
    const Pool pool = Pool::open({{test::write_peft(dir / "in", config, tensors), ""}});
    AdapterWriter writer(dir / "out", pool, {at::kFloat, true});
    add_all(writer, pool);
    writer.finish(Value());
    const Adapter out = Adapter::open(dir / "out");
    const ModuleUpdate was = pool.adapters()[0].load(pool.adapters()[0].modules()[0]), is = out.load(out.modules()[0]);
    CHECK(at::equal(dense_block(is.blocks[0]), dense_block(was.blocks[0])));
  }
}

TEST_CASE("adapter/writer: negative scales, unequal ranks and empty blocks") {
  test::TempDir dir;
  at::manual_seed(6);
  test::NamedTensors tensors;
  for (const char* name : {"l.0.q", "l.1.q", "l.2.q"}) test::add_pair(tensors, name, 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in", kInputConfig, tensors), ""}});
  const std::vector<LowRank> updates{{at::randn({10, 3}), at::randn({3, 6}), -0.3},
                                     {at::randn({10, 3}), at::randn({3, 6}), 7.0},
                                     {at::zeros({10, 0}), at::zeros({0, 6}), 1.0}};
  AdapterWriter writer(dir / "out", pool, kSingle);
  for (size_t i = 0; i < 3; ++i) writer.add(pool.modules()[i].info, {updates[i]}, Tensor());
  CHECK(writer.bytes() == (2 * (30 + 18) + 16) * 4);
  writer.finish(Value());
  const Adapter out = Adapter::open(dir / "out");
  for (size_t i = 0; i < 2; ++i) CHECK(block_error(out.load(out.modules()[i]).blocks[0], updates[i]) < 3e-7);
  CHECK(out.modules()[2].rank == 1);
  const Value config = io::read_json(dir / "out" / "adapter_config.json");
  CHECK(config.find("r")->integer() == 3);
  CHECK(config.find("lora_alpha")->integer() == 3);
  REQUIRE(config.find("rank_pattern")->map.size() == 1);
  CHECK(config.find("rank_pattern")->map[0].first == R"(l\.2\.q)");
  CHECK(config.find("alpha_pattern")->find(R"(l\.2\.q)")->integer() == 1);
  CHECK(config.find("task_type")->scalar == "CAUSAL_LM");
  CHECK(config.find("lora_dropout")->number() == 0.0);
  CHECK(config.find("some_new_key") == nullptr);
  CHECK(config.find("target_modules")->list.size() == 3);
}

TEST_CASE("adapter/writer: a path that ends another path is anchored") {
  test::TempDir dir;
  at::manual_seed(8);
  test::NamedTensors tensors;
  for (const char* name : {"layers.1.q", "model.layers.1.q", "model.layers.2.q"})
    test::add_pair(tensors, name, 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in", kInputConfig, tensors), ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  for (const PoolModule& m : pool.modules()) {
    const std::int64_t rank = m.info.name == "layers.1.q" ? 2 : 5;
    writer.add(m.info, {{at::randn({10, rank}), at::randn({rank, 6}), 1.0}}, Tensor());
  }
  writer.finish(Value());
  CHECK(io::read_json(dir / "out" / "adapter_config.json").find("rank_pattern")->map[0].first == R"(^layers\.1\.q)");
}

TEST_CASE("adapter/writer: experts of unequal rank are padded") {
  test::TempDir dir;
  const WriterCase c = layer_cases()[5];
  const Pool pool = Pool::open({{test::write_peft(dir / "in", c.config, c.tensors), ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  std::vector<std::vector<LowRank>> given;
  for (const PoolModule& m : pool.modules()) {
    std::vector<LowRank> blocks;
    for (std::int64_t e = 0; e < m.info.blocks; ++e)
      blocks.push_back({at::randn({m.info.out, e + 1}), at::randn({e + 1, m.info.in}), 0.5 - static_cast<double>(e)});
    writer.add(m.info, blocks, Tensor());
    given.push_back(blocks);
  }
  writer.finish(Value());
  const Adapter out = Adapter::open(dir / "out");
  for (size_t i = 0; i < given.size(); ++i) {
    CHECK(out.modules()[i].rank == 3);
    const ModuleUpdate is = out.load(out.modules()[i]);
    for (size_t e = 0; e < 3; ++e) CHECK(block_error(is.blocks[e], given[i][e]) < 3e-7);
  }
}

TEST_CASE("adapter/writer: one bias asks for biases everywhere") {
  test::TempDir dir;
  at::manual_seed(9);
  test::NamedTensors with, without;
  test::add_pair(with, "l.0.q", 10, 6, 4);
  with.emplace_back("base_model.model.l.0.q.lora_B.bias", at::randn({10}));
  test::add_pair(without, "l.1.q", 10, 6, 4);
  const Pool pool = Pool::open(
      {{test::write_peft(dir / "a", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_bias": true})", with), ""},
       {test::write_peft(dir / "b", kInputConfig, without), ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  add_all(writer, pool);
  writer.finish(Value());
  const Adapter out = Adapter::open(dir / "out");
  CHECK(io::read_json(dir / "out" / "adapter_config.json").find("lora_bias")->boolean() == true);
  CHECK(at::allclose(out.load(*out.find("l.0.q")).bias, with.back().second.mul(2.0)));
  CHECK(out.load(*out.find("l.1.q")).bias.count_nonzero().item<std::int64_t>() == 0);
}

TEST_CASE("adapter/writer: numbers that do not fit are refused by name") {
  test::TempDir dir;
  test::NamedTensors tensors;
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in", kInputConfig, tensors), ""}});
  const LowRank large{at::full({10, 2}, 7e4), at::ones({2, 6}), 1.0};
  {
    AdapterWriter writer(dir / "out", pool, {at::kHalf, false});
    CHECK_THROWS_AS(writer.add(pool.modules()[0].info, {large}, Tensor()), InputError);
    const std::string text = thrown_text([&] { writer.add(pool.modules()[0].info, {large}, Tensor()); });
    CHECK(mentions(text, "l.0.q"));
    CHECK(mentions(text, "float16"));
    CHECK(mentions(text, "bfloat16"));
    const LowRank broken{at::full({10, 2}, std::numeric_limits<double>::quiet_NaN()), at::ones({2, 6}), 1.0};
    CHECK(mentions(thrown_text([&] { writer.add(pool.modules()[0].info, {broken}, Tensor()); }), "NaN"));
    const LowRank narrow{at::ones({10, 2}), at::ones({2, 5}), 1.0};
    CHECK_THROWS_AS(writer.add(pool.modules()[0].info, {narrow}, Tensor()), UsageError);
  }
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
  CHECK(others_in(dir.path(), {"in"}).empty());  // nothing partial is left
}

TEST_CASE("adapter/writer: an existing output needs force, an input is never the output") {
  test::TempDir dir;
  test::NamedTensors tensors;
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const auto in = test::write_peft(dir / "pool" / "in", kInputConfig, tensors);
  const std::string before = file_text(in / "adapter_model.safetensors");
  const Pool pool = Pool::open({{in, ""}});
  for (const auto& out : {in, dir / "pool", dir / "pool" / "x" / ".." / "in"}) {
    CHECK_THROWS_AS(AdapterWriter(out, pool, {at::kFloat, true}), UsageError);
    CHECK_THROWS_AS(AdapterWriter(out, pool, {at::kFloat, false}), UsageError);
  }
  std::filesystem::create_directory_symlink(in, dir / "link");
  CHECK_THROWS_AS(AdapterWriter(dir / "link", pool, {at::kFloat, true}), UsageError);
  for (int round = 0; round < 2; ++round) {
    AdapterWriter writer(dir / "out", pool, {at::kFloat, round > 0});
    add_all(writer, pool);
    writer.finish(Value());
  }
  CHECK_THROWS_AS(AdapterWriter(dir / "out", pool, kSingle), UsageError);
  CHECK_THROWS_AS(AdapterWriter(dir / "new", pool, {at::kInt, false}), UsageError);
  CHECK(file_text(in / "adapter_model.safetensors") == before);
}

TEST_CASE("adapter/writer: the same inputs give the same bytes, and the record says what they were") {
  test::TempDir dir;
  at::manual_seed(10);
  test::NamedTensors tensors;
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in", kInputConfig, tensors), ""}});
  Value provenance = Value::make_map();
  provenance.set("recipe", Value::text("method: linear"));
  for (const char* name : {"one", "two"}) {
    AdapterWriter writer(dir / name, pool, kSingle);
    add_all(writer, pool);
    writer.finish(provenance);
  }
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors", "weft.json"})
    CHECK(file_text(dir / "one" / file) == file_text(dir / "two" / file));
  const Value record = io::read_json(dir / "one" / "weft.json");
  CHECK(record.find("recipe")->scalar == "method: linear");
  REQUIRE(record.find("inputs")->list.size() == 1);
  CHECK(record.find("inputs")->list[0].find("tensors_sha256")->scalar.size() == 64);
  CHECK(record.find("inputs")->list[0].find("config_sha256")->scalar.size() == 64);
  CHECK(record.find("output")->find("dtype")->scalar == "float32");
  const auto file = io::open_safetensors(dir / "one" / "adapter_model.safetensors");
  CHECK(file->metadata() == std::vector<std::pair<std::string, std::string>>{{"format", "pt"}});
}

TEST_CASE("adapter/writer: full tensors keep their place and their dtype") {
  test::TempDir dir;
  at::manual_seed(12);
  const std::string p = "base_model.model.";
  test::NamedTensors tensors{{p + "score.weight", at::randn({2, 6}).to(at::kHalf)},
                             {p + "l.0.q.base_layer.bias", at::randn({10})},
                             {p + "norm.bias", at::randn({6})}};
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in",
                                                  R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "all",
                                                      "modules_to_save": ["score", "unused"]})",
                                                  tensors),
                                 ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  add_all(writer, pool);
  for (const PoolTensor& t : pool.full_tensors()) writer.add_full(t.info, pool.adapters()[0].load_key(t.info.key));
  writer.finish(Value());
  const Value config = io::read_json(dir / "out" / "adapter_config.json");
  CHECK(config.find("bias")->scalar == "all");
  REQUIRE(config.find("modules_to_save")->list.size() == 1);
  CHECK(config.find("modules_to_save")->list[0].scalar == "score");
  const auto file = io::open_safetensors(dir / "out" / "adapter_model.safetensors");
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(file->find(tensors[i].first) != nullptr);
    CHECK(at::equal(file->load(tensors[i].first), tensors[i].second));
  }
}

TEST_CASE("adapter/writer: settings that change the meaning must agree") {
  test::TempDir dir;
  test::NamedTensors tensors;
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const auto a = test::write_peft(
      dir / "a", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "ensure_weight_tying": true})", tensors);
  const auto b = test::write_peft(dir / "b", kInputConfig, tensors);
  const Pool pool = Pool::open({{a, ""}, {b, ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  add_all(writer, pool);
  CHECK(mentions(thrown_text([&] { writer.finish(Value()); }), "ensure_weight_tying differs"));
}

TEST_CASE("adapter/writer: an adapter carried over whole keeps its config and every tensor") {
  test::TempDir dir;
  at::manual_seed(13);
  test::NamedTensors tensors{{"base_model.model.l.0.q.lora_magnitude_vector", at::rand({10})}};
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in",
                                                  R"({"peft_type": "LORA", "r": 4, "lora_alpha": 6, "use_dora": true,
                                                      "zeta": {"b": 1, "a": [1.50, null]}, "rank_pattern": {"z": 4, "q": 4}})",
                                                  tensors),
                                 ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  writer.carry(pool.adapters()[0]);
  CHECK_THROWS_AS(add_all(writer, pool), UsageError);
  writer.finish(Value());
  const auto file = io::open_safetensors(dir / "out" / "adapter_model.safetensors");
  CHECK(file->entries().size() == tensors.size());
  for (const auto& [name, tensor] : tensors) CHECK(at::equal(file->load(name), tensor));
  const Value config = io::read_json(dir / "out" / "adapter_config.json");
  CHECK(config.find("use_dora")->boolean() == true);
  CHECK(config.find("zeta")->map[0].first == "a");
  CHECK(config.find("rank_pattern")->map[0].first == "z");  // PEFT takes the first pattern that fits
  CHECK(Adapter::open(dir / "out").modules()[0].scale == 1.5);
}

TEST_CASE("adapter/writer: a module cannot be replaced and updated at once") {
  test::TempDir dir;
  at::manual_seed(14);
  test::NamedTensors head{{"base_model.model.score.weight", at::randn({10, 6})}}, pair;
  test::add_pair(head, "l.0.q", 10, 6, 4);
  test::add_pair(pair, "score", 10, 6, 4);
  const Pool pool = Pool::open(
      {{test::write_peft(dir / "a", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "modules_to_save": ["score"]})",
                         head),
        ""},
       {test::write_peft(dir / "b", kInputConfig, pair), ""}});
  AdapterWriter writer(dir / "out", pool, kSingle);
  add_all(writer, pool);
  CHECK_THROWS_AS(writer.add_full(pool.full_tensors()[0].info, head[0].second), UnsupportedError);
}

TEST_CASE("adapter/writer: what a disk got wrong is noticed") {
  test::TempDir dir;
  at::manual_seed(15);
  const auto file = dir / "x.safetensors";
  const test::NamedTensors tensors{{"a", at::randn({5, 7}).to(at::kHalf)}, {"b", at::randn({3})}};
  test::write_tensors(file, tensors);
  std::map<std::string, WrittenTensor> expected;
  for (const auto& [name, tensor] : tensors) expected[name] = describe_written(tensor);
  CHECK_NOTHROW(check_tensors(file, expected));
  std::string bytes = file_text(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // one bit of one number
  test::write_text(file, bytes);
  CHECK(mentions(thrown_text([&] { check_tensors(file, expected); }), " differs"));
  expected["c"] = expected["b"];
  CHECK_THROWS_AS(check_tensors(file, expected), Error);
}

TEST_CASE("adapter/writer: patterns are escaped") {
  CHECK(escape_pattern("model.layers.1.q") == R"(model\.layers\.1\.q)");
  CHECK(escape_pattern("a+b(c)[d]{e}|^$?*\\") == R"(a\+b\(c\)\[d\]\{e\}\|\^\$\?\*\\)");
}

TEST_CASE("adapter/writer: an output that cannot be made") {
  test::TempDir dir;
  test::NamedTensors tensors;
  test::add_pair(tensors, "l.0.q", 10, 6, 4);
  const Pool pool = Pool::open({{test::write_peft(dir / "in", kInputConfig, tensors), ""}});
  test::write_text(dir / "file", "x");
  CHECK_THROWS_AS(AdapterWriter(dir / "file" / "out", pool, kSingle), Error);
  CHECK_THROWS_AS(AdapterWriter(dir / "file", pool, {at::kFloat, true}), UsageError);
  AdapterWriter empty(dir / "out", pool, kSingle);
  CHECK_THROWS_AS(empty.finish(Value()), UsageError);
}

TEST_CASE("adapter/writer: other layouts are written as PEFT's") {
  const auto data = test::shared_data("sd_lora");
  if (data.empty()) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    const auto kind = entry.path().extension();
    if (kind != ".safetensors" && kind != ".pt") continue;
    test::TempDir dir;
    const Pool pool = Pool::open({{entry.path(), ""}});
    CHECK_THROWS_AS(AdapterWriter(dir / "out", pool, kSingle).carry(pool.adapters()[0]), UsageError);
    AdapterWriter writer(dir / "out", pool, {at::kFloat, false});
    add_all(writer, pool);
    writer.finish(Value());
    const Adapter out = Adapter::open(dir / "out");
    CHECK(out.info().format == "peft");
    for (const ModuleInfo& want : pool.adapters()[0].modules())
      CHECK(block_error(out.load(*out.find(want.name)).blocks[0], pool.adapters()[0].load(want).blocks[0]) < 3e-7);
  }
}

TEST_CASE("adapter/writer: real adapters round trip") {
  const auto data = test::shared_data("adapters");
  if (data.empty()) return;
  for (const auto& path : {data / "gpt2" / "domain-legal", data / "open-calm-1b" / "deltacompression-r1-fp16"}) {
    test::TempDir dir;
    const Pool pool = Pool::open({{path, ""}});
    AdapterWriter writer(dir / "out", pool, kSingle);
    add_all(writer, pool);
    writer.finish(Value());
    const Adapter out = Adapter::open(dir / "out");
    for (const ModuleInfo& want : pool.adapters()[0].modules())
      CHECK(block_error(out.load(*out.find(want.name)).blocks[0], pool.adapters()[0].load(want).blocks[0]) < 3e-7);
  }
}

}  // namespace weft::adapter
