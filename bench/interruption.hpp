#pragma once

#include <chrono>

namespace rotagate::bench {

/// SIGINT and SIGTERM end a run early, but in good order. Make it before any thread, which all inherit the mask.
class Interruption {
public:
    Interruption();
    /// Waits. @return whether a signal came before that time, or has come before
    bool before(std::chrono::steady_clock::time_point time);

private:
    bool came_ = false;
};

}  // namespace rotagate::bench
