#include "weft/search/space.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "search/layers.h"
#include "support/error_text.h"

using namespace weft;
using search::Granularity;
using search::Point;
using search::Problem;
using search::Space;
using search::SpaceOptions;
using test::error_text;
using test::says;
using Strings = std::vector<std::string>;

namespace {

Strings llama(int layers) {
  Strings modules = {"model.embed_tokens"};
  for (int l = 0; l < layers; ++l) {
    for (const char* kind : {"self_attn.q_proj", "mlp.down_proj"}) {
      modules.push_back("model.layers." + std::to_string(l) + "." + kind);
    }
  }
  modules.push_back("lm_head");
  return modules;
}

SpaceOptions options_of(Granularity granularity, std::int64_t blocks = 4) {
  SpaceOptions options;
  options.granularity = granularity;
  options.layer_blocks = blocks;
  return options;
}

Strings names_of(const Space& space) {
  Strings names;
  for (size_t i = 0; i < space.size(); ++i) names.push_back(space.name(i));
  return names;
}

std::string refused(const SpaceOptions& options, const Strings& adapters = {"reverse", "quote", "upper"},
                    const Strings& modules = llama(4)) {
  return error_text<UsageError>([&] { Space(adapters, modules, options); });
}

}  // namespace

TEST_CASE("search/space: one weight per adapter") {
  SpaceOptions options;
  options.starts = {{"b", 0.5}};
  const Space space({"a", "b", "c"}, llama(2), options);
  CHECK(space.size() == 3);
  CHECK(space.group_names() == Strings{"all"});
  CHECK(space.group_of_module() == std::vector<std::int64_t>(6, 0));
  CHECK(space.group_of("anything") == 0);
  CHECK(names_of(space) == Strings{"a", "b", "c"});
  CHECK(space.weights({1, 2, 3}) == Point{1, 2, 3});
  CHECK(space.pull_back({4, 5, 6}) == Point{4, 5, 6});
  const Problem problem = space.problem();
  CHECK(problem.lower == Point(3, -1.5));
  CHECK(problem.upper == Point(3, 1.5));
  CHECK(problem.start == Point{0, 0.5, 0});
  CHECK(problem.origin == Point(3, 0.0));
  CHECK(problem.singles == std::vector<Point>{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}});
  problem.check();
  CHECK(Space({"a"}, {}, {}).size() == 1);  // modules are not needed
}

TEST_CASE("search/space: fixed and tied weights") {
  SpaceOptions options;
  options.fixed = {{"b", 2.5}};
  options.tied = {{"d", "a"}};
  options.starts = {{"d", 0.25}};
  const Space space({"a", "b", "c", "d"}, llama(2), options);
  CHECK(names_of(space) == Strings{"d + a", "c"});
  CHECK(space.weights({1, 2}) == Point{1, 2.5, 2, 1});
  CHECK(space.pull_back({1, 10, 100, 1000}) == Point{1001, 100});
  CHECK(space.problem().start == Point{0.25, 0});
  CHECK(space.problem().singles == std::vector<Point>{{1, 0}, {0, 1}});
}

TEST_CASE("search/space: one weight per adapter and block of layers") {
  SpaceOptions options = options_of(Granularity::kLayerBlock, 2);
  options.fixed = {{"c", 1}};
  const Space space({"a", "b", "c"}, llama(5), options);
  CHECK(space.group_names() == Strings{"layers 0-2", "layers 3-4"});
  CHECK(space.group_of_module() == std::vector<std::int64_t>{0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1});
  CHECK(names_of(space) == Strings{"a, layers 0-2", "b, layers 0-2", "a, layers 3-4", "b, layers 3-4"});
  CHECK(space.weights({1, 2, 3, 4}) == Point{1, 2, 1, 3, 4, 1});
  CHECK(space.pull_back({1, 2, 3, 4, 5, 6}) == Point{1, 2, 4, 5});
  // An ingredient alone has its weight in all blocks.
  CHECK(space.problem().singles == std::vector<Point>{{1, 0, 1, 0}, {0, 1, 0, 1}});
  CHECK(space.group_of("model.layers.4.mlp.up_proj") == 1);
  CHECK(space.group_of("model.layers.70.mlp.up_proj") == 1);
  CHECK(space.group_of("model.embed_tokens") == 0);
  CHECK(space.group_of("model.norm") == 1);
  // No more blocks than layers, and layers counted from the first that occurs.
  const Strings upper = {"h.7.attn.c_attn", "h.8.attn.c_attn", "h.9.attn.c_attn"};
  const Space few({"a"}, upper, options_of(Granularity::kLayerBlock, 10));
  CHECK(few.group_names() == Strings{"layer 7", "layer 8", "layer 9"});
  CHECK(few.group_of_module() == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("search/space: stacks of their own share the blocks") {
  Strings modules;
  for (int l = 0; l < 4; ++l) modules.push_back("encoder.block." + std::to_string(l) + ".layer.0.SelfAttention.q");
  modules.push_back("encoder.final");
  for (int l = 0; l < 8; ++l) modules.push_back("decoder.block." + std::to_string(l) + ".layer.1.EncDecAttention.v");
  const Space space({"a"}, modules, options_of(Granularity::kLayerBlock, 2));
  CHECK(space.group_names() == Strings{"block 1 of 2", "block 2 of 2"});
  CHECK(space.group_of_module() == std::vector<std::int64_t>{0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1});
  const Space kinds({"a"}, modules, options_of(Granularity::kKind));
  CHECK(kinds.group_names() == Strings{"q", "final", "v"});
}

TEST_CASE("search/space: one weight per adapter and kind of module") {
  const Space space({"a", "b"}, llama(2), options_of(Granularity::kKind));
  CHECK(space.group_names() == Strings{"embed_tokens", "q_proj", "down_proj", "lm_head"});
  CHECK(space.group_of_module() == std::vector<std::int64_t>{0, 1, 2, 1, 2, 3});
  CHECK(space.name(3) == "b, q_proj");
  CHECK(space.group_of("model.layers.9.mlp.down_proj") == 2);
  CHECK(says(error_text<UsageError>([&] { space.group_of("model.layers.0.mlp.up_proj"); }), "no searched module"));
}

TEST_CASE("search/space: layers and kinds in names") {
  CHECK(search::layer_place("model.layers.13.mlp.experts.2.w1").layer == 13);
  CHECK(search::layer_place("model.layers.13.mlp.experts.2.w1").stack == "model.layers");
  CHECK(search::layer_place("3").layer == 3);
  CHECK(search::layer_place("lm_head2.x1").layer == -1);
  CHECK(search::layer_place("a.99999999999999999999.b").layer == -1);
  CHECK(search::layer_place("").layer == -1);
  CHECK(search::module_kind("h.3.attn.c_attn") == "c_attn");
  CHECK(search::module_kind("encoder.block.0.layer.0.SelfAttention.q") == "q");
  CHECK(search::module_kind("to_out.0") == "to_out");
  CHECK(search::module_kind("0.1") == "0.1");
  CHECK(search::module_kind("") == "");
}

TEST_CASE("search/space: a box without zero or one") {
  SpaceOptions options;
  options.lower = 0.25, options.upper = 0.75, options.start = 0.5;
  const Problem above = Space({"a", "b"}, {}, options).problem();
  CHECK(above.origin == Point{0.25, 0.25});
  CHECK(above.singles[0] == Point{0.75, 0.25});
  above.check();
  options.lower = -2, options.upper = -1, options.start = -1;
  const Problem below = Space({"a", "b"}, {}, options).problem();
  CHECK(below.origin == Point{-1, -1});
  CHECK(below.singles[1] == Point{-1, -1});
  below.check();
  options.start = 0;
  CHECK(says(refused(options), "the first weight of 'reverse' is 0, outside of the bounds -2 and -1"));
}

TEST_CASE("search/space: what is refused") {
  CHECK(says(refused({}, {}), "no adapters"));
  CHECK(says(refused({}, {"a", "b", "a"}), "two adapters are called 'a'"));
  const auto with = [](auto&& change) {
    SpaceOptions options;
    change(options);
    return refused(options);
  };
  CHECK(says(with([](auto& o) { o.fixed = {{"revers", 1}}; }), "did you mean 'reverse'?"));
  CHECK(says(with([](auto& o) { o.starts = {{"nobody", 1}}; }), "unknown adapter 'nobody' among the first weights"));
  CHECK(says(with([](auto& o) { o.tied = {{"quotes", "upper"}}; }), "did you mean 'quote'?"));
  CHECK(says(with([](auto& o) { o.fixed = {{"quote", 1}, {"quote", 2}}; }), "fixed twice"));
  CHECK(says(with([](auto& o) { o.fixed = {{"quote", 1}}, o.starts = {{"quote", 1}}; }), "both a first and a fixed"));
  CHECK(says(with([](auto& o) { o.starts = {{"quote", 1}, {"quote", 0}}; }), "two first weights"));
  CHECK(says(with([](auto& o) { o.fixed = {{"quote", 1}}, o.tied = {{"quote", "upper"}}; }), "both fixed and tied"));
  CHECK(says(with([](auto& o) { o.tied = {{"quote", "upper"}, {"quote", "reverse"}}; }), "tied twice"));
  CHECK(says(with([](auto& o) { o.tied = {{"quote", "quote"}}; }), "tied twice"));
  CHECK(says(with([](auto& o) {
               o.tied = {{"quote", "upper"}}, o.starts = {{"quote", 1}, {"upper", 0}};
             }),
             "'quote' and 'upper' share one weight but begin with 1 and 0"));
  CHECK(says(with([](auto& o) { o.starts = {{"quote", 1.6}}; }), "the first weight of 'quote' is 1.6"));
  CHECK(says(with([](auto& o) { o.lower = 2; }), "crossed: 2 > 1.5"));
  CHECK(says(with([](auto& o) { o.upper = std::numeric_limits<double>::infinity(); }), "expected finite"));
  CHECK(says(with([](auto& o) { o.start = std::numeric_limits<double>::quiet_NaN(); }), "is nan"));
  CHECK(says(with([](auto& o) { o.fixed = {{"quote", std::numeric_limits<double>::quiet_NaN()}}; }), "is nan"));
  CHECK(says(with([](auto& o) { o.fixed = {{"quote", 1}, {"reverse", 1}, {"upper", 1}}; }), "nothing to search"));
  CHECK(says(refused(options_of(Granularity::kLayerBlock, 0)), "0 blocks of layers"));
  CHECK(says(refused(options_of(Granularity::kLayerBlock), {"a"}, {}), "there are none"));
  CHECK(says(refused(options_of(Granularity::kLayerBlock), {"a"}, {"lm_head"}), "the first is 'lm_head'"));
  const Space space({"a", "b"}, {}, {});
  CHECK(says(error_text<UsageError>([&] { space.weights({1}); }), "a point of 1 coordinates"));
  CHECK(says(error_text<UsageError>([&] { space.pull_back({1}); }), "a gradient of 1 weights"));
  CHECK(says(error_text<UsageError>([&] { (void)space.name(2); }), "no coordinate 2"));
}

TEST_CASE("search/space: a thousand adapters by layer and a search over them") {
  Strings adapters;
  for (int i = 0; i < 1000; ++i) adapters.push_back("adapter" + std::to_string(i));
  const Space space(adapters, llama(8), options_of(Granularity::kLayerBlock, 2));
  CHECK(space.size() == 2000);
  Problem problem = space.problem();
  problem.budget = 30;
  CHECK(!search::make_optimizer("screened", problem)->ask().empty());
}
