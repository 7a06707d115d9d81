#include "dist/group.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "dist/peers.h"
#include "weft/core/error.h"

namespace weft::dist {

Group::Group() = default;
Group::Group(const Placement& placement) {
  if (placement.size > 1) peers_ = std::make_unique<Peers>(placement);
}
Group Group::from_environment() { return Group(read_placement(process_environment())); }
Group::~Group() = default;
Group::Group(Group&&) noexcept = default;
Group& Group::operator=(Group&&) noexcept = default;

int Group::rank() const { return peers_ == nullptr ? 0 : peers_->placement().rank; }
int Group::size() const { return peers_ == nullptr ? 1 : peers_->placement().size; }

std::vector<std::string> Group::all_gather(const std::string& bytes) const {
  if (peers_ == nullptr) return {bytes};
  return peers_->exchange('g', bytes);
}

std::string Group::broadcast(const std::string& bytes, int from) const {
  if (from < 0 || from >= size())
    throw UsageError(fmt::format("there is no rank {} among {} to broadcast", from, size()));
  return peers_ == nullptr ? bytes : peers_->hear('b', bytes, from);
}

void Group::barrier() const {
  if (peers_ != nullptr) peers_->exchange('w', "");
}

void Group::agree(const std::function<void()>& work) const {
  if (peers_ == nullptr) return work();
  const auto fail = [this](Blame blame, const char* text) {
    peers_->fail(std::to_string(static_cast<int>(blame)) + text);
  };
  try {
    work();
  } catch (const Error& error) {
    fail(error.blame(), error.what());
    throw;
  } catch (const std::exception& error) {
    fail(Blame::kSystem, error.what());
    throw;
  }
  const std::vector<std::string> failures = peers_->exchange('a', "");
  for (size_t rank = 0; rank < failures.size(); ++rank)
    if (!failures[rank].empty()) peers_->pass_on(static_cast<int>(rank), failures[rank]);
}

}  // namespace weft::dist
