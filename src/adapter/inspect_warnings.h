#pragma once

#include "weft/adapter/inspect.h"

namespace weft::adapter {

/// Adds to `report.warnings` what its user should know before composing the adapter: refusals, zero updates, odd
/// scales, modules out of proportion. `report.modules` must be complete.
void add_adapter_warnings(const Adapter& adapter, AdapterReport& report);

}  // namespace weft::adapter
