#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "cli/run.h"

/// Closed standard streams lead nowhere: a file opened later must not take their place and get what is printed.
static void hold_standard_streams() {
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

/// Exit code of a run whose results could not be printed: a closed pipe is the reader's choice, a full disk is not.
static int after_failed_output(int code, int reason) {
  // The flush that failed is past; another byte fails for the same reason.
  if (reason == 0 && ::write(STDOUT_FILENO, "\n", 1) < 0) reason = errno;
  if (reason == EPIPE || code != 0) return code;
  std::cerr << "weft: error: cannot write to standard output: " << std::strerror(reason) << "\n";
  return 1;
}

int main(int argc, char** argv) {
  hold_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file too large is a failed write, with a message
  const int code = weft::cli::run(argc, argv, std::cout, std::cerr, ::isatty(STDERR_FILENO) != 0);
  errno = 0;
  std::cout.flush();
  return std::cout.good() ? code : after_failed_output(code, errno);
}
