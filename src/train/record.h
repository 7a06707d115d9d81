#pragma once

#include <string>

#include "train/task.h"
#include "weft/core/value.h"
#include "weft/model/model.h"
#include "weft/train/train.h"

namespace weft::train {

/// Which training this is: options, examples, base and start, as a hex digest. Two runs with the same one end with the
/// same bytes, given the same number of threads.
std::string fingerprint_of(const model::BaseModel& model, const TrainJob& job, const Task& task,
                           const Task* validation);

/// What `weft.json` says of a training: options, examples, curve. No times and no places, so that the same training
/// gives the same bytes anywhere.
Value record_of(const TrainJob& job, const Task& task, const TrainReport& report);

}  // namespace weft::train
