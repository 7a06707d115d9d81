#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/json_out.h"
#include "cli/session.h"
#include "cli/table.h"
#include "weft/merge/spec.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

struct MethodsFlags {
  std::string name;
  bool markdown = false, json = false;
};

/// What the option is under this method when nothing is said.
std::string default_of(const Field& field, const Value& options) {
  const Value* set = options.find(field.name);
  if (set == nullptr) return field.fallback;
  std::string text = recipe::to_yaml(*set);
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

std::string where_of(const Field& field) {
  std::string out;
  if (field.per_adapter) out = "adapter";
  if (field.per_module) out += out.empty() ? "module" : ", module";
  return out;
}

void print_method(const merge::Method& method, std::ostream& out) {
  out << fmt::format("{}: {}\n  parts  {}\n  paper  {}\n  laws   {}\n\n", method.name, method.title, method.parts,
                     method.paper.empty() ? "-" : method.paper,
                     method.laws.empty() ? "-" : fmt::format("{}", fmt::join(method.laws, ", ")));
  const Value options = merge::options_of(method.spec, true);
  Table table({"option", "default", "values", "per", "what it does"});
  for (const Field& field : merge::fields())
    table.add({field.name, default_of(field, options), field.range(), where_of(field), field.doc});
  out << table.text()
      << "\nSet them under 'parameters' of a recipe, or with --set KEY=VALUE. 'per adapter': may stand under an\n"
         "adapter's parameters; 'per module': may be a gradient over layers or a list of {filter, value}.\n";
}

void print_methods(std::ostream& out) {
  Table table({"method", "what it does", "parts"});
  for (const merge::Method& method : merge::methods()) table.add({method.name, method.title, method.parts});
  out << table.text() << "\n'weft methods NAME' shows its options.\n";
}

void print_markdown(std::ostream& out) {
  out << "| method | what it does | parts | paper |\n| --- | --- | --- | --- |\n";
  for (const merge::Method& method : merge::methods())
    out << fmt::format("| `{}` | {} | {} | {} |\n", method.name, method.title, method.parts, method.paper);
}

Value options_json(const merge::Method& method) {
  const Value options = merge::options_of(method.spec, true);
  Value out = Value::make_list();
  for (const Field& field : merge::fields()) {
    Value row = Value::make_map();
    row.set("name", Value::text(field.name));
    row.set("default", Value::text(default_of(field, options)));
    row.set("values", Value::text(field.range()));
    row.set("per_adapter", Value::of(field.per_adapter));
    row.set("per_module", Value::of(field.per_module));
    row.set("doc", Value::text(field.doc));
    out.list.push_back(std::move(row));
  }
  return out;
}

Value method_json(const merge::Method& method) {
  Value out = Value::make_map();
  out.set("name", Value::text(method.name));
  out.set("title", Value::text(method.title));
  out.set("parts", Value::text(method.parts));
  out.set("paper", Value::text(method.paper));
  out.set("laws", json_texts(method.laws));
  out.set("options", options_json(method));
  return out;
}

void run_methods(const MethodsFlags& flags, std::ostream& out) {
  const merge::Method* one = flags.name.empty() ? nullptr : &merge::find_method(flags.name, {});
  if (flags.json) {
    Value list = Value::make_list();
    for (const merge::Method& method : merge::methods())
      if (one == nullptr || one == &method) list.list.push_back(method_json(method));
    Value root = Value::make_map();
    root.set("methods", std::move(list));
    print_json(out, root);
  } else if (flags.markdown) {
    print_markdown(out);
  } else if (one != nullptr) {
    print_method(*one, out);
  } else {
    print_methods(out);
  }
}

}  // namespace

void add_methods(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<MethodsFlags>();
  CLI::App* command = root.add_subcommand("methods", "List the methods, or one method's options");
  command->add_option("NAME", flags->name, "a method")->type_name("");
  command->add_flag("--markdown", flags->markdown, "the table as Markdown");
  command->add_flag("--json", flags->json,
                    "JSON: {methods: [{name, title, parts, paper, laws, options: [{name, default, values, per_adapter, "
                    "per_module, doc}]}]}");
  command->footer("Example:\n  weft methods ties");
  command->callback([flags, &session] { run_methods(*flags, session.out); });
}

}  // namespace weft::cli
