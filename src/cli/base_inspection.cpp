#include "cli/base_inspection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "cli/json_out.h"
#include "cli/table.h"
#include "io/checkpoint.h"
#include "weft/core/parallel.h"
#include "weft/text/tokenizer.h"

namespace weft::cli {

namespace {

namespace fs = std::filesystem;

const char* base_kind(model::Kind kind) {
  switch (kind) {
    case model::Kind::kCausal: return "causal";
    case model::Kind::kSeq2Seq: return "seq2seq";
    case model::Kind::kEncoder: return "encoder";
  }
  return "";
}

void find_shapes(BaseInspection& base) {
  const io::Checkpoint checkpoint = io::Checkpoint::open(base.info.path);
  for (const std::string& name : base.info.modules) {
    std::string ignored;
    const io::CheckpointTensor found = checkpoint.find(name + ".weight", ignored);
    if (found.present())
      base.modules.push_back({name, found.entry->shape, io::dtype_name(found.entry->dtype)});
    else
      base.modules.push_back({name, {}, {}});
  }
}

/// Opens the tokenizer: only that tells whether all its parts are known.
void find_tokenizer(BaseInspection& base) {
  if (!text::Tokenizer::present(base.info.path)) {
    base.warnings.push_back("no tokenizer in this folder");
    return;
  }
  try {
    const text::Tokenizer tokenizer = text::Tokenizer::open(base.info.path);
    base.tokenizer = tokenizer.path().string();
    if (tokenizer.size() > base.info.vocabulary)
      base.warnings.push_back(fmt::format("the tokenizer has {} tokens, the vocabulary of the model {}",
                                          tokenizer.size(), base.info.vocabulary));
  } catch (const Error& error) {
    base.warnings.push_back(fmt::format("the tokenizer cannot be used: {}", error.what()));
  }
}

std::string positions_of(const model::ModelInfo& info) {
  if (info.positions <= 0) return "-";
  return format_count(info.positions) + (info.positions_end ? ", learned: nothing longer can be run" : "");
}

std::string labels_of(const model::ModelInfo& info) {
  constexpr size_t kMostLabels = 12;
  if (info.labels.empty()) return "-";
  if (info.labels.size() <= kMostLabels) return fmt::format("{}", fmt::join(info.labels, ", "));
  return fmt::format("{}, ... ({})", fmt::join(info.labels.begin(), info.labels.begin() + kMostLabels, ", "),
                     info.labels.size());
}

Value ids_json(const std::vector<std::int64_t>& ids) {
  Value out = Value::make_list();
  for (const std::int64_t id : ids) out.list.push_back(Value::of_int(id));
  return out;
}

Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value::text(text); }

Value base_modules_json(const std::vector<BaseInspection::Module>& modules) {
  Value out = Value::make_list();
  for (const BaseInspection::Module& module : modules) {
    Value row = Value::make_map();
    row.set("name", Value::text(module.name));
    row.set("shape", module.shape.empty() ? Value() : ids_json(module.shape));
    row.set("dtype", text_or_null(module.dtype));
    out.list.push_back(std::move(row));
  }
  return out;
}

}  // namespace

bool is_base_model(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored) || fs::exists(path / "adapter_config.json", ignored)) return false;
  if (!fs::exists(path / "config.json", ignored)) return false;
  return true;
}

BaseInspection inspect_base(const fs::path& path) {
  BaseInspection out;
  out.info = model::BaseModel::inspect(path);
  out.warnings = out.info.warnings;
  find_shapes(out);
  find_tokenizer(out);
  return out;
}

void print_base(const BaseInspection& base, bool modules, std::ostream& out) {
  const model::ModelInfo& info = base.info;
  Table table({"base model", printable(info.path.string())});
  table.add({"family", fmt::format("{} ({})", info.family, base_kind(info.kind))});
  table.add({"architecture", info.architecture.empty() ? "-" : info.architecture});
  table.add({"parameters", fmt::format("{} ({}, {})", format_count(info.parameters), info.dtype,
                                       format_size(static_cast<double>(info.bytes)))});
  table.add({"vocabulary", format_count(info.vocabulary)});
  table.add({"width", fmt::format("{}, feed-forward {}", info.width, info.feed_forward)});
  table.add({"layers", std::to_string(info.layers)});
  table.add({"heads", fmt::format("{} of {}, {} for keys and values", info.heads, info.head_dim, info.kv_heads)});
  table.add({"positions", positions_of(info)});
  table.add({"labels", labels_of(info)});
  table.add({"tokenizer", base.tokenizer.empty() ? "-" : base.tokenizer});
  table.add({"modules", std::to_string(base.modules.size())});
  out << table.text();
  if (!modules) return;
  Table rows({"module", "shape", "dtype"});
  for (const BaseInspection::Module& module : base.modules)
    rows.add({module.name, module.shape.empty() ? "-" : fmt::format("[{}]", fmt::join(module.shape, ", ")),
              module.dtype.empty() ? "-" : module.dtype});
  out << "\n" << rows.text(2);
}

Value base_json(const BaseInspection& base) {
  const model::ModelInfo& info = base.info;
  Value out = Value::make_map();
  out.set("path", Value::text(info.path.string()));
  out.set("family", Value::text(info.family));
  out.set("architecture", text_or_null(info.architecture));
  out.set("kind", Value::text(base_kind(info.kind)));
  out.set("parameters", Value::of_int(info.parameters));
  out.set("bytes", Value::of_int(info.bytes));
  out.set("dtype", Value::text(info.dtype));
  const std::pair<const char*, std::int64_t> sizes[] = {{"vocabulary", info.vocabulary},
                                                        {"width", info.width},
                                                        {"layers", info.layers},
                                                        {"heads", info.heads},
                                                        {"kv_heads", info.kv_heads},
                                                        {"head_dim", info.head_dim},
                                                        {"feed_forward", info.feed_forward}};
  for (const auto& [name, size] : sizes) out.set(name, Value::of_int(size));
  out.set("positions", info.positions > 0 ? Value::of_int(info.positions) : Value());
  out.set("positions_end", Value::of(info.positions_end));
  out.set("labels", json_texts(info.labels));
  out.set("end_tokens", ids_json(info.end_tokens));
  out.set("tokenizer", text_or_null(base.tokenizer));
  out.set("modules", base_modules_json(base.modules));
  out.set("warnings", json_texts(base.warnings));
  return out;
}

}  // namespace weft::cli
