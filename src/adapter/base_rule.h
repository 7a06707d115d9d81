#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapter/adapter_data.h"
#include "weft/adapter/base.h"

namespace weft::adapter {

/// What training took out of a base weight before it began.
enum class Removed {
  kNothing,
  kLeading,   ///< PiSSA: the largest singular directions
  kTrailing,  ///< KaSA: the smallest singular directions
  kQr         ///< OLoRA: scale times the first columns of Q and rows of R
};

/// How the delta of one module depends on the base's weight.
struct BaseRule {
  Removed removed = Removed::kNothing;
  bool dora = false;

  bool needs_base() const { return removed != Removed::kNothing || dora; }
};

/// An adapter put on its base.
struct Rebase {
  BaseWeights base;
  std::vector<BaseRule> rules;                  ///< of the modules, in their order
  std::shared_ptr<const Adapter::Data> stored;  ///< the adapter as its file has it
};

/**
 * The ordinary delta of a module: `update` as stored, `weight` [out, in] its base weight, `transposed` if that is
 * stored [in, out]. With R what the rule removed: s·b·a − R, and with DoRA diag(g)(s·b·a − R) + diag(g − 1)·weight,
 * g = magnitude / norms of the rows of weight + s·b·a − R. The scale of the result is 1.
 * @throws InputError naming `where` when a row's norm is zero.
 */
ModuleUpdate rebase_update(ModuleUpdate update, const Tensor& weight, bool transposed, const BaseRule& rule,
                           const std::string& where);

}  // namespace weft::adapter
