#include "flow/facts.h"

#include <cmath>
#include <utility>

namespace weft::flow {

Value finite_or_null(double number) { return std::isfinite(number) ? Value::of(number) : Value(); }

Value module_facts(const merge::MergeReport& report) {
  Value rows = Value::make_list();
  for (const merge::ModuleResult& result : report.modules) {
    Value row = Value::make_map();
    row.set("name", Value::text(result.name));
    row.set("rank", Value::of_int(result.rank));
    row.set("norm", finite_or_null(result.norm));
    row.set("error", finite_or_null(result.error));
    rows.list.push_back(std::move(row));
  }
  return rows;
}

}  // namespace weft::flow
