#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>

#include "support/make_adapter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;

TEST_CASE("adapter/open: an ordinary PEFT folder") {
  at::manual_seed(1);
  weft::test::TempDir dir;
  weft::test::NamedTensors tensors;
  weft::test::add_pair(tensors, "model.layers.10.q_proj", 6, 4, 2);
  weft::test::add_pair(tensors, "model.layers.2.q_proj", 6, 4, 2, at::kBFloat16);
  weft::test::write_peft(dir / "one",
                         R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "x"})", tensors);
  const Adapter adapter = Adapter::open(dir / "one");
  CHECK(adapter.info().name == "one");
  CHECK(adapter.info().format == "peft");
  CHECK(adapter.info().base_model == "x");
  REQUIRE(adapter.modules().size() == 2);
  CHECK(adapter.modules()[0].name == "model.layers.2.q_proj");
  const auto& m = adapter.modules()[1];
  CHECK(m.out == 6);
  CHECK(m.in == 4);
  CHECK(m.rank == 2);
  CHECK(m.scale == 2.0);
  CHECK((adapter.modules()[0].dtype == at::kBFloat16));
  const auto update = adapter.load(m);
  REQUIRE(update.blocks.size() == 1);
  CHECK(at::equal(update.blocks[0].a, tensors[0].second));
  CHECK(at::equal(update.blocks[0].b, tensors[1].second));
  CHECK(adapter.find("model.layers.2.q_proj") == &adapter.modules()[0]);
  CHECK(adapter.find("model.layers.3.q_proj") == nullptr);
  CHECK(adapter.renamed("two").info().name == "two");
  adapter.release(m);
}

TEST_CASE("adapter/open: every real adapter opens and loads") {
  for (const char* part : {"adapters", "sd_lora"}) {
    const auto root = weft::test::shared_data(part);
    if (root.empty()) return;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const auto end = entry.path().extension();
      if (end != ".safetensors" && end != ".pt") continue;
      for (const auto& path : {entry.path(), entry.path().parent_path()}) {
        CAPTURE(path.string());
        const Adapter adapter = Adapter::open(path);
        CHECK(adapter.info().refusal.empty());
        CHECK(adapter.modules().size() > 10);
        for (const auto& m : adapter.modules()) {
          const auto update = adapter.load(m);
          REQUIRE(update.blocks.size() == 1);
          CHECK(update.blocks[0].b.sizes() == at::IntArrayRef{m.out, m.rank});
          CHECK(update.blocks[0].a.sizes() == at::IntArrayRef{m.rank, m.in});
        }
      }
    }
  }
}
