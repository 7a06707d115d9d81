#include "io/safetensors_writer.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/staged.h"
#include "io/tensor_file.h"
#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

using namespace weft;

namespace {

const std::vector<std::pair<std::string, Tensor>>& writer_cases() {
  static const std::vector<std::pair<std::string, Tensor>> cases{
      {"odd half", at::arange(3, at::kFloat).to(at::kHalf)},
      {"f32", at::arange(6, at::kFloat).view({2, 3})},
      {"transposed", at::arange(6, at::kFloat).view({2, 3}).t()},
      {"bf16", at::arange(4, at::kFloat).to(at::kBFloat16)},
      {"f64", at::arange(5, at::kDouble)},
      {"i64", at::arange(5)},
      {"u8", at::arange(3, at::kByte)},
      {"odd f32", at::arange(3, at::kFloat)},
      {"scalar", at::scalar_tensor(2.0, at::kFloat)},
      {"empty", at::zeros({0, 7})},
      {"conv", at::ones({2, 1, 3, 3, 1})},
      {"quote\" \\ ä\n", at::ones({1})},
      {"bool", at::ones({3}, at::kBool)},
  };
  return cases;
}

void write_cases(const std::filesystem::path& path) {
  std::vector<std::string> names{"never added"};
  for (const auto& [name, tensor] : writer_cases()) names.push_back(name);
  io::SafetensorsWriter writer(path, names, {{"format", "pt"}, {"note", "a\"b"}});
  for (const auto& [name, tensor] : writer_cases()) writer.add(name, tensor);
  writer.finish();
}

}  // namespace

TEST_CASE("io/safetensors_writer: what is written reads back, aligned, in every dtype") {
  const test::TempDir dir;
  write_cases(dir / "x.safetensors");
  const auto file = io::open_safetensors(dir / "x.safetensors");
  CHECK(file->entries().size() == writer_cases().size());
  for (const auto& [name, tensor] : writer_cases()) {
    CAPTURE(name);
    REQUIRE(file->find(name) != nullptr);
    const Tensor back = file->load(name);
    CHECK((back.scalar_type() == tensor.scalar_type()));
    CHECK(at::equal(back, tensor));
    // A view of the map, not a copy, proves that the tensor is aligned; bools and empty tensors are copies by design.
    if (tensor.numel() > 0 && tensor.scalar_type() != at::kBool)
      CHECK(back.const_data_ptr() == file->load(name).const_data_ptr());
  }
  CHECK(file->metadata() == std::vector<std::pair<std::string, std::string>>{{"format", "pt"}, {"note", "a\"b"}});
}

TEST_CASE("io/safetensors_writer: the same tensors make the same bytes") {
  const test::TempDir dir;
  write_cases(dir / "x");
  write_cases(dir / "y");
  const std::string x = read_file(dir / "x", 1 << 20);
  CHECK(x == read_file(dir / "y", 1 << 20));
  CHECK(x.size() % 2 == 0);
}

TEST_CASE("io/safetensors_writer: large shapes and many tensors fit the reserved header") {
  const test::TempDir dir;
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back("t" + std::to_string(i));
  io::SafetensorsWriter writer(dir / "x", names, {});
  for (const auto& name : names) writer.add(name, at::zeros({1, 1, 1, 1, 1, 1, 1, 8}));
  CHECK(writer.bytes() == 500 * 32);
  writer.finish();
  CHECK(io::open_safetensors(dir / "x")->entries().size() == 500);
}

TEST_CASE("io/safetensors_writer: misuse and a full disk are errors") {
  const test::TempDir dir;
  io::SafetensorsWriter writer(dir / "x", {"a"}, {});
  CHECK(test::error_text([&] { writer.add("b", at::ones(1)); }).find("'b' was not announced") != std::string::npos);
  writer.add("a", at::ones(2));
  CHECK(test::error_text([&] { writer.add("a", at::ones(2)); }).find("'a' was written twice") != std::string::npos);
  CHECK(test::error_text([&] {
          io::SafetensorsWriter(dir / "y", {"a", "a"}, {});
        }).find("announced twice") != std::string::npos);
  CHECK(test::error_text([&] { io::SafetensorsWriter(dir / "no" / "x", {}, {}); }).find("No such file") !=
        std::string::npos);
  const std::string full = test::error_text([] {
    io::SafetensorsWriter to_full("/dev/full", {"a"}, {});
    to_full.add("a", at::ones({1024}));
    to_full.finish();
  });
  CHECK(full == "/dev/full: cannot write: No space left on device");
}
