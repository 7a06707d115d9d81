#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/staged.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::train {
namespace {

using test::error_text;
using test::says;
using test::TempDir;

std::vector<std::pair<std::string, Tensor>> some_tensors(int seed) {
  at::manual_seed(static_cast<std::uint64_t>(seed));
  return {{"model.q.lora_A", at::randn({4, 33})}, {"model.q.lora_B", at::randn({33, 4})}, {"odd", at::randn({3})}};
}

Value some_state() {
  Value state = Value::make_map();
  state.set("step", Value::of_int(1234567890123LL));
  state.set("fingerprint", Value::text("a \"quoted\" text,\n\\ and \xC3\xA9"));
  Value curve = Value::make_list();
  for (const double x : {0.1, 1.0 / 3.0, 5e-324, -1.7976931348623157e308, 123456789.123456789, 2.0, -0.0})
    curve.list.push_back(Value::of(x));
  state.set("curve", curve);
  state.set("nothing", Value());
  return state;
}

std::string file_bytes(const std::filesystem::path& path) { return read_file(path, size_t{1} << 30); }

/// No file of this process can grow beyond so many bytes while this lives: a disk that is full.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, handler_);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

 private:
  rlimit old_{};
  sighandler_t handler_ = nullptr;
};

}  // namespace

TEST_CASE("train/checkpoint: tensors and numbers come back bit for bit") {
  const TempDir dir;
  const auto tensors = some_tensors(1);
  save_checkpoint(dir / "c", tensors, some_state());
  const Loaded back = load_checkpoint(dir / "c");
  REQUIRE(back.tensors.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) CHECK(at::equal(back.tensors.at(name), tensor));
  CHECK(back.state.same_as(some_state()));
  const auto& curve = back.state.find("curve")->list;
  CHECK(*curve[1].number() == 1.0 / 3.0);
  CHECK(*curve[2].number() == 5e-324);
  CHECK(*curve[3].number() == -1.7976931348623157e308);
  CHECK(std::signbit(*curve[6].number()));
  back.tensors.at("odd").zero_();  // it is memory of its own
  CHECK(at::equal(load_checkpoint(dir / "c").tensors.at("odd"), tensors[2].second));
}

TEST_CASE("train/checkpoint: every double survives") {
  const TempDir dir;
  std::uint64_t bits = 88172645463325252ULL;
  std::vector<double> numbers;
  Value list = Value::make_list();
  while (numbers.size() < 2000) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
    double x = 0.0;
    std::memcpy(&x, &bits, 8);
    if (!std::isfinite(x)) continue;
    numbers.push_back(x);
    list.list.push_back(Value::of(x));
  }
  Value state = Value::make_map();
  state.set("numbers", list);
  save_checkpoint(dir / "c", {}, state);
  const Loaded back = load_checkpoint(dir / "c");
  bool same = true;
  for (size_t i = 0; i < numbers.size(); ++i) same = same && back.state.find("numbers")->list[i].number() == numbers[i];
  CHECK(same);
}

TEST_CASE("train/checkpoint: the same content is the same file, and replaces the old one") {
  const TempDir dir;
  const auto tensors = some_tensors(1);
  save_checkpoint(dir / "c", some_tensors(2), some_state());
  save_checkpoint(dir / "c", tensors, some_state());
  save_checkpoint(dir / "d", {tensors[2], tensors[0], tensors[1]}, some_state());
  CHECK(file_bytes(dir / "c") == file_bytes(dir / "d"));
}

TEST_CASE("train/checkpoint: what cannot be kept is refused before the old one is touched") {
  const TempDir dir;
  save_checkpoint(dir / "c", some_tensors(1), some_state());
  const std::string before = file_bytes(dir / "c");
  Value bad = Value::make_map();
  bad.set("loss", Value::of(std::numeric_limits<double>::quiet_NaN()));
  CHECK(says(error_text([&] { save_checkpoint(dir / "c", {}, bad); }), "not finite"));
  CHECK(says(error_text([&] { save_checkpoint(dir / "c", {}, Value::make_list()); }), "no JSON object"));
  CHECK(says(error_text([&] {
               save_checkpoint(dir / "c", {{"a", at::zeros({2}, at::kDouble)}}, some_state());
             }),
             "'a' is not float32"));
  CHECK(file_bytes(dir / "c") == before);
}

TEST_CASE("train/checkpoint: a full disk leaves the old one") {
  const TempDir dir;
  save_checkpoint(dir / "c", some_tensors(1), some_state());
  const std::string before = file_bytes(dir / "c");
  for (const rlim_t room : {rlim_t{0}, rlim_t{1}, rlim_t{8}, rlim_t{100}, rlim_t{1000}, rlim_t{before.size() - 1}}) {
    const SmallFiles full(room);
    const std::string text = error_text([&] { save_checkpoint(dir / "c", some_tensors(2), some_state()); });
    CHECK(says(text, "File too large"));
  }
  CHECK(file_bytes(dir / "c") == before);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) files += entry.exists() ? 1 : 0;
  CHECK(files == 1);
}

TEST_CASE("train/checkpoint: damage is noticed") {
  const TempDir dir;
  save_checkpoint(dir / "c", some_tensors(1), some_state());
  const std::string whole = file_bytes(dir / "c");
  const auto refused = [&](const std::string& bytes) {
    test::write_text(dir / "damaged", bytes);
    return error_text<FormatError>([&] { load_checkpoint(dir / "damaged"); }) != "no error";
  };
  CHECK_FALSE(refused(whole));
  bool all = true;
  for (size_t size = 0; size < whole.size(); size += 7) all = all && refused(whole.substr(0, size));
  CHECK(all);
  // A changed bit of the data; blanks and the order of keys in the header may change without harm.
  for (size_t at = whole.size() - 1000; at < whole.size(); at += 13) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    all = all && refused(changed);
  }
  CHECK(all);
  for (size_t at = 0; at < whole.size() - 1000; at += 3) {  // never a crash
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 32);
    refused(changed);
  }
}

TEST_CASE("train/checkpoint: files of another kind") {
  const TempDir dir;
  CHECK(says(error_text<InputError>([&] { load_checkpoint(dir / "none"); }), "none"));
  test::write_tensors(dir / "adapter", {{"a", at::zeros({2})}});
  CHECK(says(error_text<FormatError>([&] { load_checkpoint(dir / "adapter"); }), "no checkpoint of a training"));
  test::write_tensors(dir / "other", {{"a", at::zeros({2}, at::kDouble)}},
                      {{"format", "weft training"}, {"version", "1"}, {"checksum", "0"}, {"state", "{}"}});
  CHECK(says(error_text<FormatError>([&] { load_checkpoint(dir / "other"); }), "'a' is float64, expected float32"));
  test::write_tensors(dir / "list", {}, {{"format", "weft training"}, {"version", "1"}, {"state", "[]"}});
  CHECK(says(error_text<FormatError>([&] { load_checkpoint(dir / "list"); }), "not a JSON object"));
}

}  // namespace weft::train
