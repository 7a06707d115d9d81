#include "weft/core/log.h"

namespace weft {

Log& silent_log() {
  static Log log;
  return log;
}

}  // namespace weft
