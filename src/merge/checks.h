#pragma once

#include <string>
#include <vector>

#include "merge/coefficients.h"
#include "weft/adapter/pool.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// The spec that is really run: PEFT turns every combination of one adapter into `linear`, and so do the peft_*
/// presets.
MergeSpec effective_spec(const adapter::Pool& pool, const MergeSpec& spec);

/// True if the one adapter of the pool is to be given back as it is: weight 1 everywhere, nothing dropped, nothing
/// truncated.
bool is_identity(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers);

/// The same of the spec as it was given, before effective_spec().
bool carries_whole(const adapter::Pool& pool, const MergeSpec& spec);

/// @throws UsageError for options that fit no pool of this size: too many adapter options, an unknown name in
/// full_tensors.
void check_options(const adapter::Pool& pool, const MergeSpec& spec);

/**
 * @throws UnsupportedError listing every adapter whose variant this merge cannot compose exactly, with the way out;
 * UsageError when weights cannot be normalised.
 */
void check_variants(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers);

/// Options that were set but have no effect with these parts.
std::vector<std::string> idle_options(const MergeSpec& spec);

}  // namespace weft::merge
