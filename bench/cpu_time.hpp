#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace rotagate::bench {

using CpuTime = std::chrono::duration<double>;

struct ProcessTimes {
    CpuTime used{};             ///< so far, user and system time of all its threads
    std::uint64_t started = 0;  ///< clock ticks since the machine was: tells it from another one that got its id
};

/// Of a process of this machine. None: there is no such process, or it has ended.
std::optional<ProcessTimes> process_times(int pid);
/// Its name; empty: there is no such process.
std::string name_of(int pid);
/// What this process has used.
CpuTime own_cpu_time();

}  // namespace rotagate::bench
