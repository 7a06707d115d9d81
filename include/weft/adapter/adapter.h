#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/tensor.h"
#include "weft/core/value.h"

namespace weft::adapter {

/// What kind of base weight a module is.
enum class LayerKind {
  kLinear,     ///< [out, in] (also Hugging Face's Conv1D of GPT-2, whose base is stored [in, out])
  kConv,       ///< convolution of any dimension; in = input channels x kernel size
  kEmbedding,  ///< table [tokens, dim]; the delta is held transposed: out = dim, in = tokens
  kParameter,  ///< a 3-D parameter of experts (PEFT `target_parameters`): one block per expert
};

/// ΔW = scale · b · a.
struct LowRank {
  Tensor b;  ///< [out, r]
  Tensor a;  ///< [r, in]
  double scale = 1.0;
};

/// What the header tells of one module; no tensor bytes are read for it.
struct ModuleInfo {
  std::string name;  ///< path in the base model, e.g. `model.layers.3.self_attn.q_proj`
  LayerKind layer = LayerKind::kLinear;
  std::int64_t out = 0, in = 0;  ///< shape of the delta; for kParameter of one expert
  std::int64_t rank =
      0;  ///< rank of the stored update; for blocks > 1 of the whole module (grouped conv) or of one expert
  double scale = 1.0;                              ///< lora_alpha / r, or / sqrt(r) with rsLoRA, of this module
  double alpha = 0.0;                              ///< resolved lora_alpha
  std::vector<std::int64_t> kernel;                ///< kConv: spatial kernel sizes
  std::int64_t blocks = 1;                         ///< groups of a grouped convolution, or experts
  c10::ScalarType dtype = c10::ScalarType::Float;  ///< as stored
  bool has_bias = false;                           ///< `lora_bias`: a delta of the bias exists
  bool has_magnitude = false;                      ///< DoRA
  bool has_diagonal = false;                       ///< KaSA
  bool has_dense = false;                          ///< the delta has a dense part (DoRA put on its base)
  std::int64_t parameters = 0;                     ///< stored numbers
  std::int64_t load_memory = 0;                    ///< bytes that load() works in, beside its result
  double load_flops = 0.0;                         ///< what load() computes: a decomposition of the base's weight
};

/// One module's update, as views of the mapped file in the stored dtype where the layout is ordinary (expanded copies
/// otherwise).
struct ModuleUpdate {
  std::vector<LowRank> blocks;  ///< one entry; one per group (rows of the delta) or per expert otherwise
  Tensor bias;                  ///< [out], multiply by blocks[0].scale; undefined if none
  Tensor magnitude;             ///< [out], DoRA's m; undefined if none
  Tensor dense;                 ///< [out, in] float32, a part of the delta beside the blocks; undefined if none
};

/// A tensor that replaces one of the base's (never added): heads, biases, token rows, resized embeddings.
struct FullTensor {
  enum class Kind { kModule, kBias, kTokenRows, kOther };
  std::string key;   ///< as stored
  std::string name;  ///< parameter path in the base model, e.g. `classifier.weight`
  Kind kind = Kind::kModule;
  std::vector<std::int64_t> shape;
  c10::ScalarType dtype = c10::ScalarType::Float;
};

/// What is known of an adapter after opening.
struct AdapterInfo {
  std::string name;                   ///< shortest distinctive path suffix, or as given
  std::filesystem::path path;         ///< folder or file
  std::filesystem::path tensors;      ///< the file that holds the tensors
  std::string format;                 ///< `peft`, `kohya`, `lora_diffusion`, `torch_list`
  std::string type;                   ///< PEFT's peft_type in lower case: `lora`, `loha`, `vera`, …
  std::vector<std::string> variants;  ///< of: rslora dora lora_bias qalora bdlora kasa mica velora alora pissa olora
                                      ///< corda lora_ga loftq experts grouped_conv …
  std::string base_model;             ///< as the config says; may be anything
  std::string refusal;     ///< empty, or why no delta can be had at all (`LoKr is recognised but …; way out`)
  std::string needs_base;  ///< empty, or why deltas need the base model (`dora: …`, `pissa: …`)
  bool fan_in_fan_out = false;
  Value config;                       ///< adapter_config.json as read (a map), or null
  std::vector<std::string> warnings;  ///< worth saying once
};

/**
 * One trained adapter. Opening reads the config and the tensor file's header, no tensor bytes. Cheap to copy (shared,
 * immutable); safe to use from several threads.
 */
class WEFT_API Adapter {
 public:
  /**
   * Opens a folder (PEFT) or a file (`.safetensors`, `.bin`, `.pt`; kohya and lora_diffusion layouts are told by their
   * keys).
   * @throws InputError / FormatError with file, tensor, expected and got: missing files, malformed headers, config and
   *         tensors that disagree, halves of a pair missing, unsupported dtypes.
   */
  static Adapter open(const std::filesystem::path& path, std::string name = {});

  const AdapterInfo& info() const;
  /// Modules with a low-rank update, in natural order (layer 2 before layer 10).
  const std::vector<ModuleInfo>& modules() const;
  /// The module called `name`, or nullptr.
  const ModuleInfo* find(const std::string& name) const;
  /// Tensors that replace the base's.
  const std::vector<FullTensor>& full_tensors() const;
  /// Every key in the file, for carrying an adapter over whole.
  std::vector<std::string> keys() const;

  /// The update of one module. @throws InputError on NaN or Inf (naming tensor and position), UnsupportedError when
  /// refused.
  ModuleUpdate load(const ModuleInfo& module) const;
  /// A stored tensor by key, as it is.
  Tensor load_key(const std::string& key) const;
  /// Hands the pages behind a module's tensors back to the system.
  void release(const ModuleInfo& module) const;
  /// The same adapter under another name.
  Adapter renamed(std::string name) const;
  /// The adapter as its file has it: undoes with_base() (adapter/base.h).
  Adapter as_stored() const;

  struct Data;
  explicit Adapter(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const Data& data() const { return *data_; }

 private:
  std::shared_ptr<const Data> data_;
};

}  // namespace weft::adapter
