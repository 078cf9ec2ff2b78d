#include "bench/cpu_time.hpp"

#include <ctime>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace rotagate::bench {

std::optional<ProcessTimes> process_times(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // proc(5): the name, in parentheses, may hold anything; behind it the state is the first field, utime and stime are
    // the 12th and 13th, and starttime is the 20th.
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string state, skipped;
    fields >> state;
    for (int i = 0; i < 10; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    for (int i = 0; i < 6; ++i) fields >> skipped;
    ProcessTimes times;
    if (!(fields >> times.started) || state == "Z" || state == "X") return std::nullopt;
    times.used = CpuTime((user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
    return times;
}

std::string name_of(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

CpuTime own_cpu_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return CpuTime(static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9);
}

}  // namespace rotagate::bench
