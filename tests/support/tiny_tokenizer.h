#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/make_adapter.h"

namespace weft::test {

/// Tokens of a vocabulary of 61: special ones, letters, a space, the two bytes of é, and longer pieces.
inline std::vector<std::string> tiny_tokens() {
  std::vector<std::string> tokens = {"<pad>", "<s>", "</s>"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  for (const char* more : {"Ġ", "Ã", "©", "Ċ", "the", "Ġthe", "Ġa", "Ġof", "ing", "abc"}) tokens.emplace_back(more);
  while (tokens.size() < 61) tokens.push_back("Ġw" + std::string(1, static_cast<char>('a' + tokens.size() % 26)));
  return tokens;
}

/// Writes a byte-level tokenizer of these tokens, without merges: prompts are letter by letter. Returns the folder.
inline std::filesystem::path write_tiny_tokenizer(const std::filesystem::path& folder) {
  std::string vocabulary, added;
  const std::vector<std::string> tokens = tiny_tokens();
  for (size_t i = 0; i < tokens.size(); ++i) {
    vocabulary += (i > 0 ? "," : "") + ("\"" + tokens[i] + "\":" + std::to_string(i));
    if (i < 3)
      added += (i > 0 ? "," : "") +
               (R"({"id":)" + std::to_string(i) + R"(,"content":")" + tokens[i] +
                R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,)" + R"("special":true})");
  }
  const std::string level = R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
  write_text(folder / "tokenizer.json",
             R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)" + added +
                 R"(],"normalizer":null,"pre_tokenizer":)" + level + R"(,"post_processor":)" + level +
                 R"(,"decoder":)" + level + R"(,"model":{"type":"BPE","dropout":null,"unk_token":null,)" +
                 R"("continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,)" +
                 R"("byte_fallback":false,"ignore_merges":false,"vocab":{)" + vocabulary + R"(},"merges":[]}})");
  return folder;
}

}  // namespace weft::test
