#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/model/model.h"

namespace weft::model {

/**
 * A batch of sequences that grow token by token, with cached keys and values. Causal models start from prompts; seq2seq
 * models encode the prompts once and grow decoder sequences from their start token. Not thread-safe; the model is
 * shared.
 */
class Session {
 public:
  /// `composition.mix` has one row, or one per sequence. Token rows are refused (UsageError): later tokens have none.
  Session(const BaseModel& model, const Composition& composition, const nn::Batch& prompts);
  ~Session();
  Session(Session&&) noexcept;

  /// Logits of the first new token, [sequences, vocabulary]. Call once, first.
  Tensor begin();
  /// Appends one id to every sequence and returns the logits of the next token, [sequences, vocabulary].
  Tensor feed(const std::vector<std::int64_t>& ids);
  /// Goes on with these sequences alone, in this order.
  void keep(const std::vector<std::int64_t>& sequences);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::model
