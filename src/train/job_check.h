#pragma once

#include <cstdint>
#include <filesystem>

#include "train/task.h"
#include "weft/model/model.h"
#include "weft/train/train.h"

namespace weft::train {

/// @throws UsageError if `output` is `input`, or a folder that holds it: replacing the one would delete the other.
void check_apart(const std::filesystem::path& output, const std::filesystem::path& input);

/// Refuses what cannot be before anything is tokenised, the output among it: a training must not end at a folder that
/// cannot be written. @throws UsageError, Error.
void check_job(const model::BaseModel& model, const TrainJob& job);

/// Refuses options that the task would ignore, and a course of `steps` updates that cannot be. @throws UsageError.
void check_options_fit(const TrainJob& job, Objective objective, std::int64_t steps);

}  // namespace weft::train
