#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace rotagate::bench {

using CpuTime = std::chrono::duration<double>;

/// What a process of this machine has used so far, user and system time of all its threads; none: there is no such
/// process.
std::optional<CpuTime> cpu_time_of(int pid);
/// Its name; empty: there is no such process.
std::string name_of(int pid);
/// What this process has used.
CpuTime own_cpu_time();

}  // namespace rotagate::bench
