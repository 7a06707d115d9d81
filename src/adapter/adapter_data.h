#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "weft/adapter/adapter.h"

namespace weft::adapter {

/// How the factors of a module lie in the file.
enum class Layout {
  kPlain,      ///< a [r, in], b [out, r]; convolutions with kernel dimensions behind
  kEmbedding,  ///< lora_embedding_A [r, tokens], lora_embedding_B [dim, r]
  kExperts,    ///< a [E·r, in] expert by expert, b [out, r·E] with the expert running fastest
  kQaLora,     ///< a [r, in / group], b [out, r]
  kBdLora      ///< one of the factors holds only the blocks of a block-diagonal matrix, stacked in rows
};

/// The keys behind one module, as stored; empty where there is none.
struct ModuleKeys {
  Layout layout = Layout::kPlain;
  std::string a, b, bias, magnitude, diagonal;
  int depth = 0;                ///< kExperts: how many `.base_layer` stand before `.lora_A`
  std::int64_t group_size = 1;  ///< kQaLora: inputs averaged into one
  std::int64_t a_blocks = 1;    ///< kBdLora: blocks of a
  std::int64_t b_blocks = 1;    ///< kBdLora: blocks of b

  /// The keys that are there, a and b first.
  std::vector<std::string> present() const;
};

/// What a format's reader makes of a header.
struct Contents {
  std::vector<ModuleInfo> modules;       ///< natural order of names
  std::vector<ModuleKeys> keys;          ///< of modules[i]
  std::vector<FullTensor> full_tensors;  ///< natural order of names
};

struct Rebase;

/// What copies of an Adapter share.
struct Adapter::Data {
  AdapterInfo info;
  std::shared_ptr<const Contents> contents;
  std::shared_ptr<const io::TensorFile> file;
  std::shared_ptr<const Rebase> rebase;  ///< set by with_base()

  /// The index of the module called `name`, or -1.
  std::int64_t index_of(const std::string& name) const;
};

/// One module before the contents are put in order.
struct ModuleEntry {
  ModuleInfo info;
  ModuleKeys keys;
};

/// Sorts modules and full tensors naturally. Throws InputError naming `file` when two modules share a name.
std::shared_ptr<const Contents> make_contents(std::vector<ModuleEntry> modules, std::vector<FullTensor> full_tensors,
                                              const std::string& file);

/// The update of one module from its stored tensors: checked for NaN and Inf, unpacked as its layout asks.
ModuleUpdate load_update(const io::TensorFile& file, const ModuleInfo& info, const ModuleKeys& keys);

}  // namespace weft::adapter
