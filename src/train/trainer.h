#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/adamw.h"
#include "train/schedule.h"
#include "train/task.h"
#include "weft/core/log.h"
#include "weft/model/model.h"
#include "weft/train/train.h"

namespace weft::train {

/// What is trained, apart from how: the model with its leaves as they are now.
struct Subject {
  const model::BaseModel* model = nullptr;
  std::vector<Leaf>* leaves = nullptr;
  /// What is attached for one pass; `dropout` 0 for validations.
  std::function<model::Composition(double dropout, std::uint64_t key)> composition;
};

/// The loop: updates, validations, checkpoints.
class Trainer {
 public:
  /// `checkpoint`: where the run is kept; `fingerprint`: says which run that is. Everything stays the caller's.
  Trainer(Subject subject, const Task& task, const Task* validation, const TrainOptions& options,
          std::filesystem::path checkpoint, std::string fingerprint, Log& log);

  /// Runs to the end, from a checkpoint where there is one. The leaves then have the best weights.
  TrainReport run();

 private:
  void resume();
  void save();
  void update();
  double accumulate(const std::vector<std::int64_t>& examples);
  void check();
  void keep_best(double loss);
  void report_progress();
  bool is_check_due() const;
  [[noreturn]] void diverged(const std::string& what) const;
  std::vector<std::int64_t> labels_of_step(const std::vector<std::int64_t>& examples) const;

  Subject subject_;
  const Task& task_;
  const Task* validation_;
  const TrainOptions& options_;
  std::filesystem::path checkpoint_;
  std::string fingerprint_;
  Log& log_;
  Order order_;
  std::int64_t per_step_ = 0, steps_ = 0, check_every_ = 0;
  std::int64_t step_ = 0;   ///< updates done
  std::int64_t saved_ = 0;  ///< step of the last checkpoint on disk, 0: none
  std::int64_t worse_ = 0;  ///< validations since the best one
  double best_loss_ = 0.0;
  std::vector<Tensor> best_;  ///< values of the leaves at the best validation; empty: the last ones count
  double started_ = 0.0;
  TrainReport report_;
};

}  // namespace weft::train
