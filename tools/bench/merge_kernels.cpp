// Our side of the race: what runs inside one process, timed around the calls alone. tools/bench/merge drives it.
//   weft_bench kernel POOL METHOD RANK DENSITY OUT   one merge of the pool's only module for every line on stdin; at
//                                                    its end the last result is written to OUT as an adapter
//   weft_bench open POOL                             opens all adapters and tabulates their modules, once a line
//   weft_bench bare                                  touches one tensor: what any program that uses libtorch weighs
#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/adapter/writer.h"
#include "weft/core/error.h"
#include "weft/merge/merge.h"

namespace {

namespace fs = std::filesystem;
using weft::Value;
using weft::adapter::LowRank;
using weft::adapter::Pool;

std::vector<Pool::Source> members(const fs::path& folder) {
  std::vector<Pool::Source> sources;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) sources.push_back({entry.path(), entry.path().filename().string()});
  std::sort(sources.begin(), sources.end(), [](const auto& x, const auto& y) { return x.path < y.path; });
  return sources;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Peak resident memory of this process so far, in KiB.
long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/// The factors of the only module, copied out of the files so that no page fault is timed.
std::vector<LowRank> factors_in_memory(const Pool& pool) {
  if (pool.modules().size() != 1) throw weft::UsageError("kernel: the pool must have one module");
  std::vector<LowRank> updates;
  for (const weft::adapter::Adapter& adapter : pool.adapters()) {
    LowRank update = adapter.load(adapter.modules()[0]).blocks[0];
    update.b = update.b.clone();
    update.a = update.a.clone();
    updates.push_back(std::move(update));
  }
  return updates;
}

void race_kernel(const std::vector<std::string>& args) {
  const Pool pool = Pool::open(members(args[1]));
  pool.check_compatible();
  weft::merge::MergeSpec spec = weft::merge::find_method(args[2]).spec;
  spec.rank = weft::merge::RankRule{weft::merge::RankRule::Kind::kFixed, std::stod(args[3])};
  spec.density = std::stod(args[4]);
  const std::vector<LowRank> updates = factors_in_memory(pool);
  std::vector<std::string> names;
  for (const weft::adapter::Adapter& adapter : pool.adapters()) names.push_back(adapter.info().name);
  const weft::adapter::ModuleInfo module = pool.modules()[0].info;
  weft::merge::MemoryResult result;
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const auto start = std::chrono::steady_clock::now();
    result = weft::merge::merge_module(module.name, names, updates, spec);
    const double seconds = seconds_since(start);
    std::printf("{\"seconds\": %.9f, \"memory_kib\": %ld, \"norm\": %.9g, \"error\": %.9g}\n", seconds, peak_memory(),
                result.norm, result.error);
    std::fflush(stdout);
  }
  weft::adapter::AdapterWriter writer(args[5], pool, {at::kFloat, true});
  writer.add(module, result.blocks, {});
  writer.finish(Value::make_map());
}

void race_open(const std::vector<std::string>& args) {
  const std::vector<Pool::Source> sources = members(args[1]);
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const auto start = std::chrono::steady_clock::now();
    const Pool pool = Pool::open(sources);
    pool.check_compatible();
    const double seconds = seconds_since(start);
    std::printf("{\"seconds\": %.9f, \"memory_kib\": %ld, \"adapters\": %zu, \"modules\": %zu}\n", seconds,
                peak_memory(), pool.size(), pool.modules().size());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  try {
    if (args.size() == 6 && args[0] == "kernel") {
      race_kernel(args);
    } else if (args.size() == 2 && args[0] == "open") {
      race_open(args);
    } else if (args.size() == 1 && args[0] == "bare") {
      return at::ones({1}).item<float>() == 1.0f ? 0 : 1;
    } else {
      std::fputs("usage: weft_bench kernel POOL METHOD RANK DENSITY OUT | open POOL | bare\n", stderr);
      return 2;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "weft_bench: %s\n", e.what());
    return 1;
  }
  return 0;
}
