#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/golden_models.h"
#include "support/make_adapter.h"

namespace weft::test {

/// `5 7 9`: the text that the tokenizer of write_id_model() turns into these ids.
inline std::string text_of_ids(const std::vector<std::int64_t>& ids) {
  std::string out;
  for (const std::int64_t id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
  return out;
}

/**
 * A copy of a golden model with a tokenizer of `size` tokens (0: as many as its vocabulary has) that are their own ids
 * in decimal digits, between blanks; `end` (if not negative) is a special token put behind every text. Words that are
 * no id are left out. Returns the folder.
 */
inline std::filesystem::path write_id_model(const std::filesystem::path& folder, const std::string& golden,
                                            int end = -1, long long size = 0) {
  std::filesystem::copy(golden_models() / golden, folder, std::filesystem::copy_options::recursive);
  if (size == 0) size = *io::read_json(folder / "config.json").find("vocab_size")->integer();
  std::string vocabulary, processor = "null", added;
  for (long long id = 0; id < size; ++id)
    vocabulary += (id > 0 ? ", " : "") + ("\"" + std::to_string(id) + "\": " + std::to_string(id));
  if (end >= 0) {
    const std::string name = std::to_string(end);
    processor = R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, )"
                R"({"SpecialToken": {"id": ")" +
                name + R"(", "type_id": 0}}], "pair": [], "special_tokens": {")" + name + R"(": {"id": ")" + name +
                R"(", "ids": [)" + name + R"(], "tokens": [")" + name + R"("]}}})";
  }
  write_text(folder / "tokenizer.json",
             R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, )"
             R"("pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": )" +
                 processor + R"(, "decoder": null, "model": {"type": "WordLevel", "vocab": {)" + vocabulary +
                 R"(}, "unk_token": "<unk>"}})");
  return folder;
}

}  // namespace weft::test
