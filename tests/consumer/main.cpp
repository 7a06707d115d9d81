#include <weft/weft.h>

#include <cstdio>
#include <filesystem>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::filesystem::path zoo = argv[1], out = argv[2];

  const weft::adapter::Pool pool = weft::adapter::Pool::open({{zoo / "reverse", ""}, {zoo / "upper", ""}});
  weft::merge::MergeSpec spec = weft::merge::find_method("linear").spec;
  spec.adapters.resize(2);
  spec.adapters[0].weight = 0.75;
  spec.adapters[1].weight = 0.25;
  weft::adapter::AdapterWriter writer(out, pool, {});
  const weft::merge::MergeReport report = weft::merge::merge(pool, spec, writer);
  writer.finish({});

  const weft::adapter::Adapter merged = weft::adapter::Adapter::open(out);
  std::printf("weft %s: %zu modules, norm %.4f\n", weft::version().c_str(), merged.modules().size(), report.norm);
  return merged.modules().size() == pool.modules().size() && report.norm > 0 ? 0 : 1;
}
