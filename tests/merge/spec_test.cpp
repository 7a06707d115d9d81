#include "weft/merge/spec.h"

#include <doctest/doctest.h>

#include "weft/recipe/recipe.h"

using weft::Value;
using namespace weft::merge;  // NOLINT: a test of exactly this namespace

namespace {

Value yaml(const char* text) { return weft::recipe::parse(text, "r.yaml"); }

double at_layer(const Schedule<double>& s, const std::string& name, int layer, int layers) {
  double value = -1;
  return first_match(s, {name, layer, layers}, value) != nullptr ? value : -1;
}

std::string message_of(const char* key, const char* text) {
  MergeSpec spec;
  try {
    set_option(spec, key, yaml(text));
  } catch (const weft::RecipeError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("merge/spec: gradients and filters as mergekit users write them") {
  MergeSpec spec;
  // mergekit's own example: five anchors over five layers hit the anchors exactly.
  set_option(spec, "weight",
             yaml("- {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}\n- {filter: mlp, value: [1, 0.5, 0.7, 0.3, "
                  "0]}\n- value: 0.5\n"));
  CHECK(at_layer(spec.weight, "model.layers.1.self_attn.q_proj", 1, 5) == doctest::Approx(0.5));
  CHECK(at_layer(spec.weight, "model.layers.3.mlp.up_proj", 3, 5) == doctest::Approx(0.3));
  CHECK(at_layer(spec.weight, "lm_head", -1, 0) == doctest::Approx(0.5));
  set_option(spec, "density", yaml("[0.2, 0.8]"));
  CHECK(at_layer(spec.density, "x", 0, 3) == doctest::Approx(0.2));
  CHECK(at_layer(spec.density, "x", 1, 3) == doctest::Approx(0.5));
  CHECK(at_layer(spec.density, "x", 2, 3) == doctest::Approx(0.8));
  CHECK(at_layer(spec.density, "x", 0, 1) == doctest::Approx(0.8));   // a lone layer stands at the end
  CHECK(at_layer(spec.density, "x", -1, 0) == doctest::Approx(0.2));  // outside the stack: the beginning
  set_option(spec, "lambda", yaml("{filter: mlp, value: 2}"));
  CHECK(at_layer(spec.scale, "layers.0.attn", 0, 1) == -1);
}

TEST_CASE("merge/spec: ranks in all their spellings") {
  MergeSpec spec;
  RankRule r;
  const ModulePosition mid{"m", 1, 3};
  set_option(spec, "rank", yaml("16"));
  CHECK((first_match(spec.rank, mid, r)->kind == RankRule::Kind::kFixed && r.number == 16));
  set_option(spec, "rank", yaml("{energy: 0.9}"));
  CHECK((first_match(spec.rank, mid, r)->kind == RankRule::Kind::kEnergy && r.number == 0.9));
  set_option(spec, "rank", yaml("energy:0.5"));
  CHECK((first_match(spec.rank, mid, r)->kind == RankRule::Kind::kEnergy && r.number == 0.5));
  set_option(spec, "rank", yaml("[4, 8]"));
  CHECK((first_match(spec.rank, mid, r)->kind == RankRule::Kind::kFixed && r.number == 6));
  set_option(spec, "rank", yaml("exact"));
  CHECK(first_match(spec.rank, mid, r)->kind == RankRule::Kind::kExact);
  for (const char* wrong : {"0", "-3", "2.5", "energy:0", "energy:1.5", "big", "{share: 1}", "[exact, 4]"}) {
    CAPTURE(wrong);
    CHECK(message_of("rank", wrong).find("rank") != std::string::npos);
  }
}

TEST_CASE("merge/spec: mistakes are named with place, range and the nearest word") {
  CHECK(message_of("densty", "0.5").find("did you mean 'density'?") != std::string::npos);
  CHECK(message_of("density", "1.4").find("r.yaml:1:1: density is '1.4', expected (0, 1]") != std::string::npos);
  CHECK(message_of("density", "0") != "");
  CHECK(message_of("density", "'0.5'") != "");
  CHECK(message_of("weight", ".nan") != "");
  CHECK(message_of("consensus", "sign_totl").find("did you mean 'sign_total'?") != std::string::npos);
  CHECK(message_of("normalize", "maybe") != "");
  CHECK(message_of("seed", "-1") != "");
  CHECK(message_of("full_tensors", "from:") != "");
  CHECK(message_of("weight", "- {filtr: mlp, value: 1}").find("did you mean 'filter'?") != std::string::npos);
  CHECK(message_of("weight", "- {filter: mlp}").find("'value'") != std::string::npos);
  CHECK(message_of("weight", "[]") != "");
  CHECK(message_of("weight", "[0.5, {value: 1}]") != "");
  MergeSpec spec;
  CHECK_THROWS_WITH_AS(set_adapter_option(spec, 0, "rank", yaml("4")), doctest::Contains("unknown option 'rank'"),
                       weft::RecipeError);
  CHECK_THROWS_WITH_AS(find_method("tise"), doctest::Contains("did you mean 'ties'?"), weft::RecipeError);
}

TEST_CASE("merge/spec: options written out read back to the same options") {
  for (const Method& m : methods()) {
    MergeSpec spec = m.spec;
    set_option(spec, "weight", yaml("- {filter: mlp, value: [0.25, 1]}\n- {value: -0.5}"));
    set_option(spec, "density", yaml("0.3"));
    set_option(spec, "rank", yaml("{energy: 0.99}"));
    set_option(spec, "full_tensors", yaml("from:a"));
    MergeSpec again = m.spec;
    const Value written = options_of(spec);
    for (const auto& [key, value] : yaml(weft::recipe::to_yaml(written).c_str()).map) set_option(again, key, value);
    CHECK(weft::recipe::to_yaml(options_of(again, true)) == weft::recipe::to_yaml(options_of(spec, true)));
  }
}
