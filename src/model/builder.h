#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"
#include "model/config_reader.h"
#include "nn/network.h"
#include "weft/model/model.h"

namespace weft::model {

class InitialWeights;

/// Whether a parameter must be in the checkpoint.
enum class Presence { kNone, kOptional, kRequired };

/// What a parameter does.
enum class Role {
  kMatrix,       ///< of a linear
  kTable,        ///< of an embedding
  kBias,         ///< of a linear or a norm
  kScale,        ///< of a norm, 1 where it does nothing
  kScaleFromOne  ///< of a norm that adds 1 to it
};

/**
 * What a family's build() works with: the config, and weights by name. Every weight that is asked for is checked
 * (there, shape, dtype); problems are gathered, and finish() throws them all as one InputError. Names are those of the
 * model as transformers builds it (`model.layers.0.self_attn.q_proj`); the checkpoint may lack or add the usual
 * prefixes.
 */
class Builder {
 public:
  /// `drawn`: where weights come from instead of the checkpoint, or nullptr.
  Builder(const ConfigReader& config, const io::Checkpoint& checkpoint, const OpenOptions& options, bool headers_only,
          const InitialWeights* drawn = nullptr);

  const ConfigReader& config() const { return config_; }
  /// Goes on with a mapping inside the config. @throws FormatError where it is absent.
  void enter(std::string_view section);
  /// The class that the checkpoint was saved from, or empty.
  const std::string& architecture() const { return architecture_; }
  /// True if the checkpoint has a tensor of that name, with or without prefix.
  bool has(std::string_view tensor) const;

  /// `name`.weight [out, in] ([in, out] when transposed) and `name`.bias [out].
  nn::Linear linear(const std::string& name, std::int64_t out, std::int64_t in, Presence bias = Presence::kNone,
                    bool transposed = false);
  /// A group of one.
  nn::LinearGroup group(const std::string& name, std::int64_t out, std::int64_t in, Presence bias = Presence::kNone,
                        bool transposed = false);
  /// `name`.weight [rows, width].
  nn::Embedding embedding(const std::string& name, std::int64_t rows, std::int64_t width);
  /// `name`.weight [width] and, for kLayer, `name`.bias.
  nn::Norm norm(const std::string& name, nn::Norm::Kind kind, std::int64_t width, double eps,
                Presence bias = Presence::kRequired);
  /// LayerNorm without parameters.
  nn::Norm plain_norm(const std::string& name, std::int64_t width, double eps);
  /// The head `name` over `tokens`: the file's own, or the embedding when tied (`tie_word_embeddings`, `tied` where the
  /// config does not say) and the file has none, or the same.
  nn::LinearGroup head(const std::string& name, const nn::Embedding& tokens, bool tied,
                       Presence bias = Presence::kNone);

  /// As head(), tied whatever the config says (T5).
  nn::LinearGroup head_or_tied(const std::string& name, const nn::Embedding& tokens);

  /// Throws what was wrong with the weights. `info` gets parameters, bytes, dtype and warnings about unused tensors.
  void finish(ModelInfo& info);
  /// By name of a parameter: its name in the checkpoint.
  const std::map<std::string, std::string>& stored() const { return stored_; }

 private:
  /// A parameter that a module has; `spelled` is its name in this checkpoint if that has one of its own.
  struct Wanted {
    std::string name;
    std::vector<std::int64_t> shape;
    Role role = Role::kMatrix;
    bool required = true;
    std::string spelled = {};
  };
  Tensor take(const Wanted& wanted);
  Tensor draw(const Wanted& wanted);
  void complain(std::string text);
  void warn_of_unused(ModelInfo& info) const;
  [[noreturn]] void throw_problems() const;
  nn::LinearGroup choose_head(const std::string& name, const nn::Embedding& tokens, bool tied, Presence bias);

  ConfigReader config_;
  const io::Checkpoint& checkpoint_;
  OpenOptions options_;
  c10::Device device_;
  bool headers_only_;
  const InitialWeights* drawn_;
  std::string architecture_;
  std::vector<std::string> problems_;
  std::set<std::string> used_;
  std::map<std::string, std::string> stored_;
  std::set<std::string> dtypes_;
  std::int64_t parameters_ = 0, bytes_ = 0;
};

}  // namespace weft::model
