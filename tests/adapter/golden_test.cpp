#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "support/close.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;

namespace {

namespace fs = std::filesystem;

// Factors are stored in float32 at best and multiplied here in float64; QALoRA, BD-LoRA and KaSA are unpacked in
// float32, which costs a few units of 6e-8.
constexpr double kGoldenTolerance = 1e-6;

/// The dense delta of a module; of one block for experts.
at::Tensor dense(const weft::adapter::ModuleUpdate& update, const weft::adapter::ModuleInfo& info, int block) {
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < update.blocks.size(); ++i) {
    const auto& part = update.blocks[i];
    if (block < 0 || block == static_cast<int>(i))
      rows.push_back(part.scale * at::matmul(part.b.to(at::kDouble), part.a.to(at::kDouble)));
  }
  const at::Tensor out = at::cat(rows, 0);
  CHECK(out.size(0) == info.out);
  CHECK(out.size(1) == info.in);
  return out;
}

void check_module(const Adapter& adapter, const weft::adapter::ModuleInfo& m, const weft::io::TensorFile& expected,
                  std::set<std::string>& met) {
  CAPTURE(m.name);
  const auto update = adapter.load(m);
  const auto same = [&](const std::string& key, const at::Tensor& got) {
    CAPTURE(key);
    REQUIRE(expected.find(key) != nullptr);
    met.insert(key);
    CHECK(weft::test::relative(got, expected.load(key)) <= kGoldenTolerance);
  };
  if (expected.find("delta/" + m.name + "/0") != nullptr) {
    CHECK(m.layer == weft::adapter::LayerKind::kParameter);
    for (int e = 0; e < m.blocks; ++e) same("delta/" + m.name + "/" + std::to_string(e), dense(update, m, e));
  } else {
    same("delta/" + m.name, dense(update, m, -1));
  }
  CHECK(m.has_bias == update.bias.defined());
  CHECK(m.has_magnitude == update.magnitude.defined());
  if (m.has_bias) same("bias/" + m.name, update.bias.to(at::kDouble) * m.scale);
  if (m.has_magnitude) same("magnitude/" + m.name, update.magnitude);
}

void check_folder(const fs::path& folder) {
  const Adapter adapter = Adapter::open(folder);
  const auto expected = weft::io::open_tensor_file(folder / "expected.safetensors");
  if (!adapter.info().refusal.empty()) {
    if (!adapter.modules().empty()) CHECK_THROWS_AS(adapter.load(adapter.modules()[0]), weft::UnsupportedError);
    CHECK_FALSE(adapter.keys().empty());
    return;
  }
  std::set<std::string> met;
  for (const auto& m : adapter.modules()) check_module(adapter, m, *expected, met);
  for (const auto& t : adapter.full_tensors()) {
    CAPTURE(t.name);
    REQUIRE(expected->find("full/" + t.name) != nullptr);
    met.insert("full/" + t.name);
    CHECK(weft::test::relative(adapter.load_key(t.key), expected->load("full/" + t.name)) == 0.0);
  }
  bool effective = false;
  for (const auto& entry : expected->entries()) {
    const bool needs_base = entry.name.rfind("effective/", 0) == 0;
    effective = effective || needs_base;
    if (!needs_base) CHECK_MESSAGE(met.count(entry.name) == 1, entry.name);
  }
  if (effective) CHECK_FALSE(adapter.info().needs_base.empty());
}

}  // namespace

TEST_CASE("adapter/golden: every variant that PEFT 0.21.2 saves") {
  const fs::path root = fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters";
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  CHECK(folders.size() >= 50);
  for (const fs::path& folder : folders) {
    const std::string name = folder.filename().string();
    CAPTURE(name);
    CHECK_NOTHROW(check_folder(folder));
  }
}

TEST_CASE("adapter/golden: what is refused or needs the base is said by name") {
  const fs::path root = fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters";
  const auto refusal = [&](const char* name) { return Adapter::open(root / name).info().refusal; };
  const auto needs = [&](const char* name) { return Adapter::open(root / name).info().needs_base; };
  CHECK(refusal("loha").find("LoHa is recognised") == 0);
  CHECK(refusal("lokr").find("LoKr is recognised") == 0);
  CHECK(refusal("vera").find("VeRA is recognised") == 0);
  CHECK(refusal("ia3").find("(IA)3 is recognised") == 0);
  CHECK(refusal("adalora").find("AdaLoRA is recognised") == 0);
  CHECK(refusal("alora").find("aLoRA") == 0);
  CHECK(refusal("plain").empty());
  CHECK(needs("plain").empty());
  CHECK(needs("mica").empty());
  CHECK(needs("velora").empty());
  CHECK(needs("monteclora").empty());
  CHECK(needs("eva_like").empty());
  CHECK(needs("dora").find("dora: ") == 0);
  CHECK(needs("kasa").find("kasa: ") == 0);
  CHECK(needs("pissa").find("base_model") != std::string::npos);
  CHECK(needs("olora").find("base_model") != std::string::npos);
  for (const char* name : {"pissa_niter", "corda", "lora_ga"})
    CHECK(needs(name).find("path_initial_model_for_weight_conversion") != std::string::npos);
  CHECK(needs("loftq").find("quantised") != std::string::npos);
}
