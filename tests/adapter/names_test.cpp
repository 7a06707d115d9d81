#include "adapter/names.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/natural.h"

namespace weft::adapter {

TEST_CASE("adapter/names: the shortest suffix that tells paths apart") {
  using Names = std::vector<std::string>;
  CHECK(distinctive_names({"/x/legal", "/x/medical"}) == Names{"legal", "medical"});
  CHECK(distinctive_names({"/x/a/checkpoint-100", "/x/b/checkpoint-100", "/x/c"}) ==
        Names{"a/checkpoint-100", "b/checkpoint-100", "c"});
  CHECK(distinctive_names({"/x/a/c", "/y/a/c", "/z/b/c"}) == Names{"x/a/c", "y/a/c", "b/c"});
  CHECK(distinctive_names({"/a", "/b/a"}) == Names{"a", "b/a"});
}

TEST_CASE("adapter/names: file names that say nothing are left out") {
  using Names = std::vector<std::string>;
  CHECK(distinctive_names({"/x/a/adapter_model.safetensors", "/x/b/adapter_model.bin"}) == Names{"a", "b"});
  CHECK(distinctive_names({"/x/style.safetensors", "/x/v1.5"}) == Names{"style", "v1.5"});
  CHECK(distinctive_names({"/x/a/", "/x/b/../c/."}) == Names{"a", "c"});
}

TEST_CASE("adapter/names: given names are taken, equal paths stay equal") {
  using Names = std::vector<std::string>;
  CHECK(distinctive_names({"/x/a"}, {"a"}) == Names{"x/a"});
  CHECK(distinctive_names({"/x/a", "/x/./a"}) == Names{"x/a", "x/a"});
}

TEST_CASE("adapter/names: natural order counts") {
  std::vector<std::string> names{"l.10.q", "l.2.q", "l.02.q", "l", "l.2.k", "L.3", "l.2"};
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return natural_less(a, b); });
  CHECK(names == std::vector<std::string>{"L.3", "l", "l.2", "l.2.k", "l.02.q", "l.2.q", "l.10.q"});
}

}  // namespace weft::adapter
