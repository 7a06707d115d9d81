#include "io/torch_pickle.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/error_text.h"
#include "support/shared_data.h"
#include "weft/core/error.h"

namespace fs = std::filesystem;
using namespace weft;

namespace {

fs::path pickle_golden(const std::string& name) { return fs::path(WEFT_SOURCE_DIR) / "tests/golden/io" / name; }
fs::path pickle_seed(const std::string& name) { return fs::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus/pickle" / name; }

/// 0, 1/4, 2/4, …: what tools/golden/make_io.py put into every tensor.
Tensor ramp(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
  return at::arange(c10::multiply_integers(shape), at::kDouble).div(4).reshape(shape).to(dtype);
}

void check_equal(const io::TensorFile& file, const std::string& name, const Tensor& expected) {
  CAPTURE(name);
  REQUIRE(file.find(name) != nullptr);
  const Tensor got = file.load(name);
  CHECK(got.is_contiguous());
  CHECK((got.scalar_type() == expected.scalar_type()));
  CHECK(got.sizes() == expected.sizes());
  CHECK((file.find(name)->dtype == expected.scalar_type()));
  CHECK(at::equal(got, expected));
}

}  // namespace

TEST_CASE("io/torch_pickle: reads state dicts of every protocol, and the legacy stream") {
  for (const char* name : {"zip_protocol2.bin", "zip_protocol4.bin", "zip_protocol5.bin", "legacy.bin"}) {
    CAPTURE(name);
    const auto file = io::open_tensor_file(pickle_golden(name));
    CHECK(file->entries().size() == 13);
    CHECK(file->entries()[0].name == "a.weight");
    check_equal(*file, "a.weight", ramp({2, 3}));
    check_equal(*file, "half", ramp({4}, at::kHalf));
    check_equal(*file, "brain", ramp({2, 2}, at::kBFloat16));
    check_equal(*file, "double", ramp({3}, at::kDouble));
    check_equal(*file, "int", at::arange(5));
    check_equal(*file, "scalar", at::scalar_tensor(1.5, at::kFloat));
    check_equal(*file, "empty", at::zeros({0, 3}));
    const Tensor big = ramp({4, 6});
    check_equal(*file, "view.row", big.select(0, 1));
    check_equal(*file, "view.column", big.select(1, 2).contiguous());
    check_equal(*file, "view.transposed", big.t().contiguous());
    check_equal(*file, "view.block", big.slice(0, 1, 3).slice(1, 2, 5).contiguous());
    check_equal(*file, "parameter", ramp({2, 2}));
    check_equal(*file, "expanded", at::full({3}, 2.5f));
    for (const auto& entry : file->entries()) file->release(entry.name);
    check_equal(*file, "a.weight", ramp({2, 3}));
  }
}

TEST_CASE("io/torch_pickle: names nested containers") {
  for (const char* name : {"list.pt", "list_legacy.pt"}) {
    const auto file = io::open_tensor_file(pickle_golden(name));
    check_equal(*file, "0", ramp({2, 2}));
    check_equal(*file, "1.0", ramp({3}));
    check_equal(*file, "1.1.x", ramp({1, 4}));
  }
  const auto mixed = io::open_tensor_file(pickle_golden("mixed.bin"));
  check_equal(*mixed, "state.w", ramp({2}));
  check_equal(*mixed, "3", ramp({1}));
  CHECK(mixed->metadata() ==
        std::vector<std::pair<std::string, std::string>>{{"step", "7"}, {"name", "run"}, {"flag", "true"}});
  check_equal(*io::open_tensor_file(pickle_golden("single.pt")), "tensor", ramp({3, 2}));
}

TEST_CASE("io/torch_pickle: handwritten pickles that are fine") {
  CHECK(io::open_torch_pickle(pickle_seed("good_one"))->load("w").numel() == 4);
  CHECK(io::open_torch_pickle(pickle_seed("good_parameter"))->load("w").numel() == 4);
  CHECK(io::open_torch_pickle(pickle_seed("good_cuda_storage"))->load("w").numel() == 4);
  CHECK(io::open_torch_pickle(pickle_seed("good_size_value"))->metadata()[0].first == "size.0");
  const auto numbers = io::open_torch_pickle(pickle_seed("good_numbers"));
  CHECK(numbers->metadata() ==
        std::vector<std::pair<std::string, std::string>>{{"f", "0.5"}, {"t", "true"}, {"i", "-1"}});
}

TEST_CASE("io/torch_pickle: nothing is executed, and what is asked for is named") {
  const std::pair<const char*, const char*> cases[] = {
      {"os_system", "needs 'os.system', which is neither a tensor nor a plain container; Weft never executes pickles"},
      {"posix_system", "needs 'posix.system'"},
      {"eval", "needs '__builtin__.eval'"},
      {"eval_stack_global", "needs 'builtins.eval'"},
      {"inst", "needs 'os.system'"},
      {"getattr", "needs '__builtin__.getattr'"},
      {"module.bin", "needs 'torch.nn.modules.linear.Linear'"},
      {"load_from_bytes", "needs 'torch.storage._load_from_bytes'"},
      {"legacy_hostile", "needs 'os.system'"},
      {"obj", "makes an object of a class"},
      {"newobj", "makes an object of a class"},
      {"build_tensor", "sets the state of an object"},
      {"call_string", "a call of something that is not a known name"},
      {"call_storage_type", "with the wrong arguments"},
      {"persid_number", "unknown persistent id"},
      {"persid_short", "unknown persistent id"},
      {"persid_old_view", "view of another"},
      {"storage_type", "a storage without a type"},
  };
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    REQUIRE(fs::exists(pickle_seed(name)));
    const std::string text = test::error_text<FormatError>([&] { io::open_torch_pickle(pickle_seed(name)); });
    CHECK_MESSAGE(text.find(expected) != std::string::npos, text);
    CHECK(text.starts_with(pickle_seed(name).string() + ": "));
  }
}

TEST_CASE("io/torch_pickle: malformed pickles are refused") {
  const std::pair<const char*, const char*> cases[] = {
      {"long_global", "a name without end"},
      {"huge_string", "4294967295 bytes are announced"},
      {"huge_string8", "18446744073709551615 bytes are announced"},
      {"huge_long", "2147483647 bytes are announced"},
      {"memo_missing", "memo 5 was never written"},
      {"memo_missing_long", "memo 4294967295 was never written"},
      {"memo_nothing", "a value is missing"},
      {"stack_empty", "a value is missing"},
      {"mark_missing", "a mark is missing"},
      {"below_mark", "a value is missing"},
      {"odd_items", "a key without a value"},
      {"items_on_list", "not a dict"},
      {"append_to_dict", "not a list"},
      {"left_over", "values left over"},
      {"no_stop", "cut off"},
      {"empty_pickle", "cut off"},
      {"protocol_0", "opcode 0x"},
      {"protocol_9", "pickle protocol 9, expected 2 to 5"},
      {"unknown_opcode", "opcode 0xfe"},
      {"cycle", "nested deeper than 100"},
      {"deep_lists", "nested deeper than 100"},
      {"many_marks", "more than 10000 open marks"},
      {"billion_laughs", "more than"},
      {"many_names", "more than 1000000 values"},
      {"list_key", "neither text nor a whole number"},
      {"tuple_key", "neither text nor a whole number"},
      {"bad_utf8_key", "not valid UTF-8"},
      {"same_name", "duplicate tensor name 'a.b'"},
      {"storage_missing", "storage 'archive/data/7' is missing"},
      {"storage_climbs", "is missing"},
      {"storage_too_small", "tensor 'w': its storage should have 400 elements, the file has 16 bytes"},
      {"storage_negative", "without key or size"},
      {"storage_overflow", "its storage should have"},
      {"outside", "reaches outside its storage"},
      {"offset_outside", "reaches outside its storage"},
      {"offset_negative", "negative offset"},
      {"offset_overflow", "tensor 'w'"},
      {"stride_negative", "negative stride"},
      {"stride_overflow", "overflow"},
      {"stride_wraps", "overflow"},
      {"shape_negative", "negative size"},
      {"shape_overflow", "far larger than its storage"},
      {"expanded_too_far", "far larger than its storage"},
      {"rank_mismatch", "differ in length"},
      {"many_dims", "too many"},
      {"shape_of_text", "wrong arguments"},
      {"legacy_truncated", "incomplete download?"},
      {"legacy_cut_in_pickle", "pickle, byte"},
      {"legacy_other_magic", "not one that torch.save wrote"},
      {"legacy_no_magic", "not one that torch.save wrote"},
      {"legacy_huge_storage", "incomplete download?"},
  };
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    REQUIRE(fs::exists(pickle_seed(name)));
    const std::string text = test::error_text<FormatError>([&] { io::open_torch_pickle(pickle_seed(name)); });
    CHECK_MESSAGE(text.find(expected) != std::string::npos, text);
  }
}

TEST_CASE("io/torch_pickle: malformed archives are refused") {
  const std::pair<const char*, const char*> cases[] = {
      {"compressed", "zip entry 'archive/data.pkl' is compressed"},
      {"big_endian", "byte order is not little-endian"},
      {"torchscript", "TorchScript"},
      {"zip_truncated", "zip directory"},
      {"zip_halved", "zip directory is missing: incomplete download?"},
      {"zip_only_magic", "zip directory is missing"},
      {"zip_directory_outside", "does not fit"},
      {"zip_directory_size", "does not fit"},
      {"zip_many_entries", "cannot hold 60000 entries"},
      {"zip_needs_zip64", "zip64 locator is missing"},
      {"zip_local_outside", "no entry at byte"},
      {"zip_local_wrong", "no entry at byte"},
      {"zip_entry_size", "runs past the data"},
      {"zip_sizes_differ", "differ"},
      {"zip_encrypted", "encrypted"},
      {"zip_name_length", "cut off"},
      {"zip_entry64", "damaged zip64 sizes"},
      {"zip_other", "without data.pkl"},
      {"tar", "tar format"},
  };
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    REQUIRE(fs::exists(pickle_seed(name)));
    const std::string text = test::error_text<FormatError>([&] { io::open_tensor_file(pickle_seed(name)); });
    CHECK_MESSAGE(text.find(expected) != std::string::npos, text);
  }
}

TEST_CASE("io/torch_pickle: a real file of an early LoRA trainer") {
  const fs::path folder = test::shared_data("sd_lora/cloneofsimo-lora_disney_pt");
  if (folder.empty()) return;
  const auto file = io::open_tensor_file(folder / "lora_disney.pt");
  REQUIRE(file->entries().size() > 10);
  CHECK(file->entries()[0].name == "0");
  for (const auto& entry : file->entries()) CHECK(at::isfinite(file->load(entry.name)).all().item<bool>());
}
