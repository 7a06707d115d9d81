#include "dist/placement.h"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <string>

#include "support/error_text.h"
#include "weft/core/error.h"

namespace weft::dist {

namespace {

using Environment = std::map<std::string, std::string>;

Placement placement_in(const Environment& environment) {
  return read_placement([&](const char* name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  });
}

std::string refused_placement(const Environment& environment) {
  return test::error_text<UsageError>([&] { placement_in(environment); });
}

const Environment kTorchrun = {{"RANK", "1"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}};

Environment with(Environment environment, const std::string& name, const std::string& value) {
  environment[name] = value;
  return environment;
}

Environment without(Environment environment, const std::string& name) {
  environment.erase(name);
  return environment;
}

}  // namespace

TEST_CASE("dist/placement: nothing in the environment is a group of one") {
  CHECK(placement_in({}).size == 1);
  CHECK(placement_in({}).rank == 0);
  CHECK(placement_in({{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}}).size == 1);
  // What a batch script of Slurm sees without srun, or a plain mpirun.
  CHECK(placement_in({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).size == 1);
  CHECK(placement_in({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "8"}}).size == 1);
  // A world of one needs no address.
  CHECK(placement_in({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size == 1);
}

TEST_CASE("dist/placement: the variables of torchrun, Slurm and OpenMPI") {
  const Placement plain = placement_in(kTorchrun);
  CHECK(plain.rank == 1);
  CHECK(plain.size == 4);
  CHECK(plain.host == "node7");
  CHECK(plain.port == 29500);
  CHECK(!plain.launcher);
  CHECK(plain.timeout == std::chrono::minutes(30));
  CHECK(plain.join_timeout == std::chrono::minutes(5));

  const Placement elastic =
      placement_in(with(with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True"), "TORCHELASTIC_RESTART_COUNT", "2"));
  CHECK(elastic.launcher);
  CHECK(elastic.attempt == "2");
  CHECK(!placement_in(with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "False")).launcher);

  const Environment address = {{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}};
  const Placement slurm = placement_in(with(with(address, "SLURM_PROCID", "3"), "SLURM_NTASKS", "8"));
  CHECK(slurm.rank == 3);
  CHECK(slurm.size == 8);
  const Placement mpi = placement_in(with(with(address, "OMPI_COMM_WORLD_RANK", "2"), "OMPI_COMM_WORLD_SIZE", "3"));
  CHECK(mpi.rank == 2);
  CHECK(mpi.size == 3);
  // torchrun inside a Slurm job: torchrun's count.
  CHECK(placement_in(with(with(kTorchrun, "SLURM_PROCID", "0"), "SLURM_NTASKS", "1")).size == 4);
}

TEST_CASE("dist/placement: the timeout of the user replaces both") {
  const Placement at = placement_in(with(kTorchrun, "WEFT_DIST_TIMEOUT", "90"));
  CHECK(at.timeout == std::chrono::seconds(90));
  CHECK(at.join_timeout == std::chrono::seconds(90));
}

TEST_CASE("dist/placement: missing and malformed variables are named with their values") {
  using test::says;
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
    INFO(std::string(name));
    CHECK(says(refused_placement(without(kTorchrun, name)), std::string(name) + " is not set"));
    CHECK(says(refused_placement(with(kTorchrun, name, "")), name));
  }
  CHECK(
      says(refused_placement(with(kTorchrun, "RANK", "one")), "RANK is \"one\", expected a whole number from 0 to 3"));
  CHECK(says(refused_placement(with(kTorchrun, "RANK", "4")), "RANK is \"4\""));
  CHECK(says(refused_placement(with(kTorchrun, "RANK", "-1")), "RANK is \"-1\""));
  CHECK(says(refused_placement(with(kTorchrun, "WORLD_SIZE", "0")), "WORLD_SIZE is \"0\""));
  CHECK(says(refused_placement(with(kTorchrun, "WORLD_SIZE", "99999999999999")), "WORLD_SIZE is \"99999999999999\""));
  CHECK(says(refused_placement(with(kTorchrun, "WORLD_SIZE", "4 ")), "WORLD_SIZE is \"4 \""));
  CHECK(says(refused_placement(with(kTorchrun, "MASTER_PORT", "65536")), "MASTER_PORT is \"65536\""));
  CHECK(says(refused_placement(with(kTorchrun, "MASTER_PORT", "0")), "MASTER_PORT is \"0\""));
  for (const char* bad : {"0", "-5", "soon", "1e3", "700000"})
    CHECK(says(refused_placement({{"WEFT_DIST_TIMEOUT", bad}}), "WEFT_DIST_TIMEOUT is \"" + std::string(bad) + "\""));
}

}  // namespace weft::dist
