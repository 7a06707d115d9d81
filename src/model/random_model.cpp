#include "model/random_model.h"

#include "io/checkpoint.h"
#include "model/config_reader.h"
#include "model/initial_weights.h"
#include "model/model_data.h"

namespace weft::model {

BaseModel random_model(const std::filesystem::path& folder, std::uint64_t seed) {
  const Value root = read_model_config(folder);
  const ConfigReader config(root, (folder / "config.json").string());
  if (config.find({"text_config"}) != nullptr)
    config.refuse("text_config",
                  "only one part of this model would be drawn; put that part's config into a folder of its own");
  const InitialWeights drawn(config.text({"model_type"}), seed);
  return BaseModel(assemble_model(root, folder, io::Checkpoint(), {}, false, &drawn));
}

}  // namespace weft::model
