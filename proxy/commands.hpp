#pragma once

namespace rotagate::proxy {

/// The program `rotagate` (SPEC section 4). @return its exit code: 0; 1 it failed, and said why; 2 it was called
/// wrongly
int run_command(int argc, const char* const* argv);

}  // namespace rotagate::proxy
