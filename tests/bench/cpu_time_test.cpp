#include "bench/cpu_time.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

using namespace rotagate::bench;

SCENARIO("a process that has ended has no times", "[cpu_time]") {
    const auto own = process_times(::getpid());
    REQUIRE(own);
    CHECK(own->started > 0);
    CHECK(process_times(::getpid())->started == own->started);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);
    CHECK_FALSE(process_times(child));  // still in the table of processes
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(process_times(child));
}
