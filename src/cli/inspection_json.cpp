#include "cli/inspection.h"
#include "cli/json_out.h"

namespace weft::cli {

namespace {

/// Header facts of a module; measured ones are added where there are any.
Value module_json(const adapter::ModuleInfo& module, const adapter::ModuleReport* measured) {
  Value row = Value::make_map();
  row.set("name", Value::text(module.name));
  row.set("in", Value::of_int(module.in));
  row.set("out", Value::of_int(module.out));
  row.set("rank", Value::of_int(module.rank));
  row.set("scale", json_number(module.scale));
  row.set("parameters", Value::of_int(module.parameters));
  if (measured == nullptr) return row;
  row.set("norm", json_number(measured->norm));
  row.set("effective_rank", json_number(measured->effective_rank));
  row.set("singular_values", json_matrix({measured->singular_values}).list.front());
  return row;
}

/// The report of the module called `name`; reports stand in module order, so `hint` is nearly always right.
const adapter::ModuleReport* report_of(const adapter::AdapterReport* report, const std::string& name, size_t hint) {
  if (report == nullptr) return nullptr;
  if (hint < report->modules.size() && report->modules[hint].name == name) return &report->modules[hint];
  for (const adapter::ModuleReport& module : report->modules)
    if (module.name == name) return &module;
  return nullptr;
}

Value full_tensors_json(const adapter::Adapter& adapter) {
  Value out = Value::make_list();
  for (const adapter::FullTensor& tensor : adapter.full_tensors()) {
    Value shape = Value::make_list();
    for (const std::int64_t side : tensor.shape) shape.list.push_back(Value::of_int(side));
    Value row = Value::make_map();
    row.set("name", Value::text(tensor.name));
    row.set("shape", std::move(shape));
    out.list.push_back(std::move(row));
  }
  return out;
}

Value adapter_json(const adapter::Adapter& adapter, const adapter::AdapterReport* report, const Value& search) {
  const adapter::AdapterInfo& info = adapter.info();
  Value modules = Value::make_list();
  for (size_t i = 0; i < adapter.modules().size(); ++i) {
    const adapter::ModuleInfo& module = adapter.modules()[i];
    modules.list.push_back(module_json(module, report_of(report, module.name, i)));
  }
  std::vector<std::string> warnings = info.warnings;
  if (report != nullptr) warnings.insert(warnings.end(), report->warnings.begin(), report->warnings.end());
  Value out = Value::make_map();
  out.set("name", Value::text(info.name));
  out.set("path", Value::text(info.path.string()));
  out.set("base_model", Value::text(info.base_model));
  out.set("format", Value::text(info.format));
  out.set("type", Value::text(info.type));
  out.set("variant", Value::text(variant_of(info)));
  out.set("variants", json_texts(info.variants));
  out.set("parameters", Value::of_int(parameters_of(adapter)));
  out.set("dtype", Value::text(dtypes_of(adapter)));
  if (report != nullptr) out.set("norm", json_number(report->norm));
  if (!info.refusal.empty()) out.set("refusal", Value::text(info.refusal));
  if (!info.needs_base.empty()) out.set("needs_base", Value::text(info.needs_base));
  out.set("modules", std::move(modules));
  out.set("full_tensors", full_tensors_json(adapter));
  if (!search.is_null()) out.set("search", search);
  out.set("warnings", json_texts(warnings));
  return out;
}

Value pool_json(const Inspection& inspection) {
  std::vector<std::string> common;
  for (const adapter::PoolModule& module : inspection.pool.modules())
    if (module.owners.size() == inspection.pool.size()) common.push_back(module.info.name);
  Value out = Value::make_map();
  out.set("modules", Value::of_int(static_cast<long long>(inspection.pool.modules().size())));
  out.set("common_modules", json_texts(common));
  out.set("compatible", Value::of(inspection.pool.misfits().empty()));
  if (inspection.report == nullptr) return out;
  out.set("cosine", json_matrix(inspection.report->cosine));
  out.set("gram", json_matrix(inspection.report->gram));
  out.set("overlap", json_matrix(inspection.report->overlap));
  out.set("shared", json_matrix(inspection.report->shared));
  return out;
}

}  // namespace

Value inspection_json(const Inspection& inspection) {
  Value adapters = Value::make_list();
  const auto& members = inspection.pool.adapters();
  for (size_t i = 0; i < members.size(); ++i)
    adapters.list.push_back(adapter_json(members[i],
                                         inspection.report != nullptr ? &inspection.report->adapters[i] : nullptr,
                                         i < inspection.searches.size() ? inspection.searches[i] : Value()));
  Value out = Value::make_map();
  out.set("adapters", std::move(adapters));
  out.set("pool", pool_json(inspection));
  out.set("warnings", json_texts(inspection_warnings(inspection)));
  return out;
}

}  // namespace weft::cli
