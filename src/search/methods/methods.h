#pragma once

#include <memory>

#include "search/engine.h"

namespace weft::search {

/// The rows of the table; each is made in the file of its name.
std::unique_ptr<Engine> make_cma_es(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_sep_cma_es(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_active_cma_es(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_one_plus_one(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_differential_evolution(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_particle_swarm(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_random(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_quasi_random(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_cobyla(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_bobyqa(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_nelder_mead(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_sbplx(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_lorahub(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_screened(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_gradient(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_bagged_paths(const Problem& box, const OptimizerOptions& options);
std::unique_ptr<Engine> make_auto(const Problem& box, const OptimizerOptions& options);

}  // namespace weft::search
