#pragma once

#include "weft/flow/compose.h"

namespace weft::flow {

/**
 * What can be said of the output folder without writing: there is one, it does not exist unless forced, is no input,
 * and its nearest existing parent can be written to.
 * @throws UsageError, Error.
 */
void check_output(const ComposeJob& job);

}  // namespace weft::flow
