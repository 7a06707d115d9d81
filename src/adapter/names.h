#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace weft::adapter {

/**
 * Names for adapters without one: per path the shortest suffix of its components that no other path and none of
 * `taken` has, `/` between components. The tensor file's usual name and known extensions say nothing and are left out
 * (`runs/a/adapter_model.safetensors` is `a`, `style.safetensors` is `style`). Equal paths get equal names.
 */
std::vector<std::string> distinctive_names(const std::vector<std::filesystem::path>& paths,
                                           const std::vector<std::string>& taken = {});

}  // namespace weft::adapter
