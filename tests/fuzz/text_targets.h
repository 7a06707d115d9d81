#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/engine.h"
#include "text/json_loader.h"
#include "text/sentencepiece_engine.h"
#include "weft/core/error.h"

namespace weft::fuzz {

/// Texts and ids through a tokenizer that was accepted. Ids stay below its size.
inline void use_engine(const text::Engine& engine) {
  static const std::array<std::string_view, 9> kTexts = {
      "",
      " ",
      "a abab <s> Word 12",
      "e\u0301\u00E9\uFB01\t\u00AD \u2581\u2581a",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
      "\n\n \r\n\t x  y ",
      "\u6F22\u5B57 \u0645\u0631 \U0001F468\u200D\U0001F469 [UNK]<0x41>",
      std::string_view("\0a\x01", 3),
      "It's 2024, DON'T \u1E9E\u0130"};
  std::vector<std::int64_t> odd = {-1, 0, 1, engine.size() - 1, engine.size(), std::int64_t{1} << 40};
  for (const std::string_view text : kTexts) {
    std::vector<std::int64_t> ids;
    engine.encode(text, ids);
    for (const std::int64_t id : ids)
      if (id < 0 || id >= engine.size()) std::abort();
    (void)engine.decode(ids, true);
    odd.insert(odd.end(), ids.begin(), ids.end());
  }
  (void)engine.decode(odd, false);
  for (const std::int64_t id : odd)
    if (const auto token = engine.token(id)) (void)engine.id(*token);
}

/// Anything may be refused with an InputError, nothing else may happen.
inline void try_tokenizer(const std::uint8_t* data, std::size_t size) {
  try {
    const text::Tokenizer::Data opened =
        text::parse_tokenizer_json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    use_engine(*opened.engine);
  } catch (const InputError&) {
  }
}

/// As try_tokenizer.
inline void try_sentencepiece(const std::uint8_t* data, std::size_t size) {
  const std::string_view model(reinterpret_cast<const char*>(data), size);
  try {
    const text::SentencePieceEngine engine(model, {.prefix_every_part = size % 2 == 0}, "fuzz.model");
    use_engine(engine);
  } catch (const InputError&) {
  }
}

}  // namespace weft::fuzz
