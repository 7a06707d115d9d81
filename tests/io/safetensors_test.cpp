#include "io/safetensors.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/error_text.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace fs = std::filesystem;
using namespace weft;

namespace {

fs::path safetensors_seed(const std::string& name) {
  return fs::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus/safetensors" / name;
}

}  // namespace

TEST_CASE("io/safetensors: reads what the reference implementation wrote") {
  const auto file = io::open_tensor_file(fs::path(WEFT_SOURCE_DIR) / "tests/golden/io/plain.safetensors");
  REQUIRE(file->entries().size() == 6);
  CHECK(file->find("nothing") == nullptr);
  const auto* b = file->find("b");
  REQUIRE(b != nullptr);
  CHECK((b->dtype == at::kFloat));
  CHECK(b->shape == std::vector<std::int64_t>{2, 3});
  CHECK(b->numel() == 6);
  CHECK(at::equal(file->load("b"), at::arange(6, at::kFloat).div(4).view({2, 3})));
  CHECK(at::equal(file->load("a"), at::arange(4, at::kFloat).div(4).to(at::kHalf)));
  CHECK(at::equal(file->load("n"), at::arange(3)));
  CHECK(file->load("z").sizes() == at::IntArrayRef({0, 2}));
  CHECK(file->load("s").item<float>() == 1.5f);
  CHECK(file->load("s").dim() == 0);
  CHECK((file->load("m").scalar_type() == at::kBool));
  std::string k;
  for (const auto& [key, value] : file->metadata())
    if (key == "k") k = value;
  CHECK(k == "ä\n");
  file->release("b");
  CHECK(file->load("b").sum().item<float>() == 3.75f);
  CHECK(test::error_text<InputError>([&] { file->load("q"); }).find("no tensor 'q'") != std::string::npos);
}

TEST_CASE("io/safetensors: tensors view the file and keep it alive") {
  auto file = io::open_safetensors(fs::path(WEFT_SOURCE_DIR) / "tests/golden/io/plain.safetensors");
  const Tensor x = file->load("b");
  CHECK(x.const_data_ptr() == file->load("b").const_data_ptr());
  const Tensor before = x.clone();
  file.reset();
  CHECK(at::equal(x, before));
}

TEST_CASE("io/safetensors: accepted corner cases") {
  CHECK(io::open_safetensors(safetensors_seed("good_empty"))->entries().empty());
  CHECK(io::open_safetensors(safetensors_seed("good_zero_size"))->load("a").sizes() == at::IntArrayRef({0, 5}));
  const auto unaligned = io::open_safetensors(safetensors_seed("good_unaligned"));
  const unsigned char expected[4] = {3, 4, 5, 6};
  CHECK(std::memcmp(unaligned->load("b").const_data_ptr(), expected, 4) == 0);
  const auto bools = io::open_safetensors(safetensors_seed("good_bool"))->load("x");
  CHECK(bools.sum().item<std::int64_t>() == 7);
  const auto metadata = io::open_safetensors(safetensors_seed("good_metadata"))->metadata();
  REQUIRE(metadata.size() == 2);
  CHECK(metadata[1].second == "ä😀");
  const auto swapped = io::open_safetensors(safetensors_seed("good_out_of_order"));
  CHECK(swapped->entries()[0].name == "b");
  CHECK(io::open_safetensors(safetensors_seed("good_float8"))->load("x").numel() == 8);
}

TEST_CASE("io/safetensors: malformed files are refused with the reason") {
  const std::pair<const char*, const char*> cases[] = {
      {"empty", "too few for a safetensors file"},
      {"short", "too few for a safetensors file"},
      {"truncated_data", "tensor 'x' ends at byte 70, the file has 67: incomplete download?"},
      {"truncated_header", "the header ends at byte 508, the file has 28: incomplete download?"},
      {"huge_header", "header length 1099511627776 is more than 100000000"},
      {"largest_length", "header length 18446744073709551615 is more than"},
      {"not_json", "does not start with '{'"},
      {"unclosed", "the header ends where '}' is expected"},
      {"unclosed_string", "ends inside a string"},
      {"trailing_text", "unexpected text after"},
      {"overlap", "tensor 'b' starts at data byte 2, the one before ends at 4: tensors overlap"},
      {"gap", "tensor 'b' starts at data byte 6, the one before ends at 4: tensors leave a gap"},
      {"first_gap", "tensors leave a gap"},
      {"bytes_left", "bytes without a tensor"},
      {"overflow", "tensor 'x': shape [4294967296, 4294967296, 4] overflows"},
      {"overflow_to_fit", "overflows"},
      {"number_too_big", "does not fit in 64 bits"},
      {"negative_dim", "expected a whole number that is not negative"},
      {"fraction", "expected a whole number"},
      {"exponent", "expected a whole number"},
      {"leading_zero", "expected a whole number"},
      {"wrong_dtype", "tensor 'x': unknown dtype 'F31'"},
      {"small_dtype", "unknown dtype 'F4'"},
      {"wrong_size", "tensor 'x': F32 of shape [3] needs 12 bytes, data_offsets give 8"},
      {"backwards", "data_offsets [8, 0] run backwards"},
      {"three_offsets", "more than 2 numbers"},
      {"one_offset", "needs two numbers"},
      {"many_dims", "more than 8 numbers"},
      {"duplicate_tensor", "duplicate tensor name 'x'"},
      {"duplicate_key", "duplicate key 'dtype'"},
      {"unknown_key", "unknown key 'kind'"},
      {"missing_key", "data_offsets is missing"},
      {"metadata_number", "__metadata__ 'a' is not a string"},
      {"metadata_twice", "duplicate key 'a' in __metadata__"},
      {"metadata_sections", "duplicate key '__metadata__'"},
      {"bad_utf8", "not valid UTF-8"},
      {"bad_escape", "unknown escape"},
      {"lone_surrogate", "lone surrogate"},
      {"bad_hex", "bad \\u escape"},
      {"control_character", "control character"},
      {"nested", "unknown key 'a'"},
  };
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    const fs::path path = safetensors_seed(name);
    REQUIRE(fs::exists(path));
    const std::string text = test::error_text<FormatError>([&] { io::open_safetensors(path); });
    CHECK_MESSAGE(text.find(expected) != std::string::npos, text);
    CHECK(text.starts_with(path.string() + ": "));
  }
}

TEST_CASE("io/safetensors: what is no tensor file is named") {
  const test::TempDir dir;
  CHECK(test::error_text<InputError>([&] { io::open_tensor_file(dir.path()); }).find("is a folder") !=
        std::string::npos);
  CHECK(test::error_text<InputError>([&] {
          io::open_tensor_file(dir / "none.safetensors");
        }).find("No such file or directory") != std::string::npos);
  CHECK(test::error_text<FormatError>([&] {
          io::open_tensor_file(safetensors_seed("empty"));
        }).find("the file is empty") != std::string::npos);
  CHECK(test::error_text<FormatError>([&] {
          io::open_tensor_file(fs::path(WEFT_SOURCE_DIR) / "src/LAYERS");
        }).find("neither safetensors nor a torch.save file") != std::string::npos);
  CHECK(test::error_text<InputError>([&] { io::open_tensor_file("/dev/null"); }).find("is not a regular file") !=
        std::string::npos);
}

TEST_CASE("io/safetensors: every real adapter opens and loads") {
  const fs::path root = test::shared_data("");
  if (root.empty()) return;
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".safetensors") continue;
    CAPTURE(entry.path().string());
    const auto file = io::open_tensor_file(entry.path());
    CHECK(!file->entries().empty());
    for (const auto& tensor : file->entries()) CHECK(at::isfinite(file->load(tensor.name)).all().item<bool>());
    ++seen;
  }
  CHECK(seen > 3);
}
