#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "weft/adapter/inspect.h"
#include "weft/adapter/pool.h"
#include "weft/core/value.h"

namespace weft::cli {

/// What `inspect` shows: the pool as opened and, unless only headers were read, what was measured.
struct Inspection {
  const adapter::Pool& pool;
  const adapter::PoolReport* report = nullptr;  ///< nullptr: headers only
  bool modules = false;                         ///< list every module
  std::vector<Value> searches = {};             ///< per adapter: `search` of its weft.json, null where there is none
  std::vector<std::string> unreadable = {};     ///< what is wrong with a weft.json
};

/// Reads what the adapters' `weft.json` say of a search.
void read_searches(Inspection& inspection);
/// Tables for people.
void print_inspection(const Inspection& inspection, std::ostream& out);
/// The same and more as JSON.
Value inspection_json(const Inspection& inspection);
/// Every warning, once each, with the adapter's name in front.
std::vector<std::string> inspection_warnings(const Inspection& inspection);

/// `float32`, or `float16, float32` when modules differ.
std::string dtypes_of(const adapter::Adapter& adapter);
/// `lora`, `lora (dora, rslora)`.
std::string variant_of(const adapter::AdapterInfo& info);
/// Stored numbers, full tensors included.
std::int64_t parameters_of(const adapter::Adapter& adapter);

}  // namespace weft::cli
