#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace rotagate::session::redis {

/// How long to wait before a server is connected to again: 5 to 10 ms after the first failure, twice as long after each
/// further one, up to 250 ms: a new master is found within a second, and a fleet of gateways does not knock in step.
inline std::chrono::milliseconds backoff(unsigned failures) {
    thread_local std::minstd_rand random{std::random_device{}()};
    const int most = std::min(10 << std::min(failures - 1, 10U), 250);
    return std::chrono::milliseconds(std::uniform_int_distribution(most / 2, most)(random));
}

}  // namespace rotagate::session::redis
