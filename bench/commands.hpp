#pragma once

namespace rotagate::bench {

/// The command line of rotagate-bench. @return the exit code: 0; 1: it failed, or the site did; 2: a wrong command line
int run_command(int argc, const char* const* argv);

}  // namespace rotagate::bench
