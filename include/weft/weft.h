#pragma once

/// Everything public, for programs that would rather include one header.

#include "weft/adapter/adapter.h"
#include "weft/adapter/base.h"
#include "weft/adapter/inspect.h"
#include "weft/adapter/pool.h"
#include "weft/adapter/writer.h"
#include "weft/core/error.h"
#include "weft/core/fields.h"
#include "weft/core/log.h"
#include "weft/core/parallel.h"
#include "weft/core/random.h"
#include "weft/core/tensor.h"
#include "weft/core/value.h"
#include "weft/core/version.h"
#include "weft/flow/compose.h"
#include "weft/merge/merge.h"
#include "weft/merge/spec.h"
#include "weft/recipe/recipe.h"
