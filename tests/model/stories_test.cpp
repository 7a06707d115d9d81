#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "io/json.h"
#include "support/close.h"
#include "support/golden_models.h"
#include "support/shared_data.h"
#include "weft/model/model.h"

TEST_CASE("model/stories: stories260K gives its golden logits") {
  const auto folder = weft::test::shared_data("models/stories260K");
  if (folder.empty()) return;
  const auto model = weft::model::BaseModel::open(folder);
  const weft::Value golden = weft::io::read_json(folder / "golden_forward.json");
  int compared = 0;
  for (const weft::Value& story : golden.list) {
    const weft::Value* logits = story.find("last_logits_float64");
    if (logits == nullptr) continue;  // the published story has its text alone
    ++compared;
    weft::nn::Batch batch;
    batch.ids = {weft::test::integers(story.find("prompt_ids"))};
    std::vector<double> expected;
    for (const weft::Value& logit : logits->list) expected.push_back(*logit.number());
    REQUIRE(static_cast<std::int64_t>(expected.size()) == model.info().vocabulary);
    const weft::Tensor last = model.logits(batch)[-1];
    // Golden numbers are float64 arithmetic on the same float32 weights; five layers in float32 keep 5 digits.
    CHECK(weft::test::relative(last, at::tensor(at::ArrayRef<double>(expected), at::kDouble)) <= 1e-5);
  }
  CHECK(compared > 0);
}
