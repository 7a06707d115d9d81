#include "model/device.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "weft/core/error.h"

namespace weft::model {

namespace {

/// libtorch_cuda.so beside the libtorch_cpu.so that is loaded; registering its kernels is all that loading has to do.
void load_cuda_half() {
  static const bool tried = [] {
    Dl_info here{};
    std::filesystem::path library = "libtorch_cuda.so";
    if (dladdr(reinterpret_cast<const void*>(&at::globalContext), &here) != 0 && here.dli_fname != nullptr)
      library = std::filesystem::path(here.dli_fname).parent_path() / library;
    return dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr;
  }();
  static_cast<void>(tried);
}

}  // namespace

c10::Device open_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  int index = 0;
  const std::string_view number = name.starts_with("cuda:") ? std::string_view(name).substr(5) : std::string_view();
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  const bool numbered = !number.empty() && error == std::errc() && end == number.data() + number.size() && index >= 0;
  if (name != "cuda" && !numbered)
    throw UsageError(fmt::format("unknown device '{}'; expected cpu, cuda or cuda:N", name));
  load_cuda_half();
  if (!at::hasCUDA())
    throw Error(fmt::format("device '{}': this libtorch sees no CUDA device; use --device cpu", name));
  const auto count = static_cast<int>(at::getNumGPUs());
  if (index >= count) throw Error(fmt::format("device '{}': there are {} CUDA devices", name, count));
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace weft::model
