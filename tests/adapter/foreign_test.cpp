#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <string>

#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;
using weft::adapter::FullTensor;
using weft::adapter::LayerKind;
using weft::test::NamedTensors;

namespace {

Adapter open_tensors(const weft::test::TempDir& dir, const NamedTensors& tensors,
                     std::vector<std::pair<std::string, std::string>> metadata = {}) {
  weft::test::write_tensors(dir / "file.safetensors", tensors, std::move(metadata));
  return Adapter::open(dir / "file.safetensors");
}

std::string error_of(const NamedTensors& tensors, std::vector<std::pair<std::string, std::string>> metadata = {}) {
  weft::test::TempDir dir;
  try {
    open_tensors(dir, tensors, std::move(metadata));
  } catch (const weft::InputError& e) {
    return e.what();
  }
  return "was accepted";
}

}  // namespace

TEST_CASE("adapter/foreign: kohya with alpha, without, and with either separator") {
  at::manual_seed(4);
  weft::test::TempDir dir;
  const NamedTensors tensors = {{"lora_unet_a_to_q.lora_down.weight", at::randn({4, 8})},
                                {"lora_unet_a_to_q.lora_up.weight", at::randn({6, 4})},
                                {"lora_unet_a_to_q.alpha", at::scalar_tensor(2.0)},
                                {"lora_unet_b_lora_down.weight", at::randn({4, 8})},
                                {"lora_unet_b_lora_up.weight", at::randn({6, 4})},
                                {"lora_unet_c.lora_down.weight", at::randn({4, 3, 3, 3})},
                                {"lora_unet_c.lora_up.weight", at::randn({6, 4, 1, 1})},
                                {"lora_unet_c.alpha", at::scalar_tensor(4.0).to(at::kHalf)},
                                {"emb_params", at::randn({2, 8})}};
  const Adapter adapter = open_tensors(dir, tensors, {{"ss_sd_model_name", "sd15.safetensors"}});
  CHECK(adapter.info().format == "kohya");
  CHECK(adapter.info().name == "file");
  CHECK(adapter.info().base_model == "sd15.safetensors");
  REQUIRE(adapter.modules().size() == 3);
  CHECK(adapter.modules()[0].name == "lora_unet_a_to_q");
  CHECK(adapter.modules()[0].scale == 0.5);
  CHECK(adapter.modules()[1].name == "lora_unet_b");
  CHECK(adapter.modules()[1].scale == 1.0);
  CHECK((adapter.modules()[2].layer == LayerKind::kConv));
  CHECK(adapter.modules()[2].in == 27);
  CHECK(adapter.modules()[2].kernel == std::vector<std::int64_t>{3, 3});
  CHECK(adapter.modules()[2].scale == 1.0);
  const auto update = adapter.load(adapter.modules()[2]);
  CHECK(at::equal(update.blocks[0].a, tensors[5].second.reshape({4, 27})));
  REQUIRE(adapter.full_tensors().size() == 1);
  CHECK((adapter.full_tensors()[0].kind == FullTensor::Kind::kOther));
}

TEST_CASE("adapter/foreign: kohya files that are broken or of another method") {
  CHECK(weft::test::says(error_of({{"m.lora_down.weight", at::ones({2, 4})}}), "no lora_up.weight"));
  CHECK(weft::test::says(error_of({{"m.lora_down.weight", at::ones({2, 4})}, {"m_lora_down.weight", at::ones({2, 4})}}),
                         "same part"));
  NamedTensors pair = {{"m.lora_down.weight", at::ones({2, 4})}, {"m.lora_up.weight", at::ones({4, 2})}};
  pair.emplace_back("m.alpha", at::ones({2}));
  CHECK(weft::test::says(error_of(pair), "should be one number"));
  pair.back().second = at::scalar_tensor(NAN);
  CHECK(weft::test::says(error_of(pair), "m.alpha' is nan"));
  pair.back() = {"m.lora_mid.weight", at::ones({2, 2, 3, 3})};
  weft::test::TempDir dir;
  const Adapter adapter = open_tensors(dir, pair);
  CHECK(weft::test::says(adapter.info().refusal, "LoCon"));
  CHECK(adapter.modules().empty());
  CHECK(adapter.keys().size() == 3);
}

TEST_CASE("adapter/foreign: lora_diffusion, ranks checked against the header") {
  at::manual_seed(4);
  const NamedTensors tensors = {{"unet:10:down", at::randn({2, 4})},
                                {"unet:10:up", at::randn({6, 2})},
                                {"unet:2:down", at::randn({2, 4})},
                                {"unet:2:up", at::randn({6, 2})},
                                {"<s1>", at::randn({8})}};
  weft::test::TempDir dir;
  const Adapter adapter = open_tensors(dir, tensors, {{"unet:2:rank", "2"}, {"<s1>", "<embed>"}});
  CHECK(adapter.info().format == "lora_diffusion");
  REQUIRE(adapter.modules().size() == 2);
  CHECK(adapter.modules()[0].name == "unet:2");
  CHECK(adapter.modules()[0].scale == 1.0);
  CHECK(at::equal(adapter.load(adapter.modules()[1]).blocks[0].b, tensors[1].second));
  REQUIRE(adapter.full_tensors().size() == 1);
  CHECK(adapter.full_tensors()[0].name == "<s1>");
  CHECK(weft::test::says(error_of(tensors, {{"unet:2:rank", "3"}}), "'unet:2:rank' is '3'"));
  CHECK(weft::test::says(error_of(tensors, {{"unet:2:rank", "2x"}}), "'2x'"));
  CHECK(weft::test::says(error_of({tensors[0]}), "no 'unet:10:up'"));
}

TEST_CASE("adapter/foreign: a list of tensors, up before down and down before up") {
  at::manual_seed(4);
  const at::Tensor up = at::randn({6, 2}), down = at::randn({2, 4}), up2 = at::randn({8, 2}), down2 = at::randn({2, 8});
  for (const bool up_first : {true, false}) {
    const NamedTensors tensors = {{"0", up_first ? up : down},
                                  {"1", up_first ? down : up},
                                  {"2", up_first ? up2 : down2},
                                  {"3", up_first ? down2 : up2}};
    weft::test::TempDir dir;
    const Adapter adapter = open_tensors(dir, tensors);
    CHECK(adapter.info().format == "torch_list");
    REQUIRE(adapter.modules().size() == 2);
    CHECK(adapter.modules()[0].out == 6);
    CHECK(adapter.modules()[0].in == 4);
    CHECK(adapter.modules()[1].rank == 2);
    const auto update = adapter.load(adapter.modules()[1]);
    CHECK(at::equal(update.blocks[0].b, up2));
    CHECK(at::equal(update.blocks[0].a, down2));
  }
  CHECK(weft::test::says(error_of({{"0", up}}), "expected pairs"));
  CHECK(weft::test::says(error_of({{"0", up}, {"1", up}}), "not pairs"));
}

TEST_CASE("adapter/foreign: the real Stable Diffusion files") {
  const auto root = weft::test::shared_data("sd_lora");
  if (root.empty()) return;
  const Adapter analog = Adapter::open(root / "cloneofsimo-analog_svd_rank4" / "analog_svd_rank4.safetensors");
  CHECK(analog.modules().size() == 192);
  CHECK(analog.modules()[2].name == "text_encoder:2");
  CHECK((analog.modules()[0].dtype == at::kHalf));
  const Adapter disney = Adapter::open(root / "cloneofsimo-lora_disney");
  CHECK(disney.full_tensors().size() == 2);
  CHECK(disney.modules()[0].rank == 1);
  const Adapter list = Adapter::open(root / "cloneofsimo-lora_disney_pt" / "lora_disney.pt");
  CHECK(list.info().format == "torch_list");
  CHECK(list.modules().size() == 128);
  CHECK(list.modules()[0].out == 320);
}
