#include "session/redis/trouble.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::session::redis;

SCENARIO("errors of Redis say what to do", "[redis]") {
    const std::pair<const char*, Trouble> cases[] = {
        {"NOSCRIPT No matching script. Please use EVAL.", Trouble::no_script},
        {"TRYAGAIN Multiple keys request during rehashing of slot", Trouble::later},
        {"CLUSTERDOWN The cluster is down", Trouble::isolated},
        {"LOADING Redis is loading the dataset in memory", Trouble::later},
        {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Trouble::later},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Trouble::later},
        {"NOREPLICAS Not enough good replicas to write. script: f_0, on @user_script:30.", Trouble::later},
        {"ERR Error running script (call to f_0): @user_script:30: @user_script: 30: -NOREPLICAS Not enough good "
         "replicas to write.",
         Trouble::later},
        {"ERR Error running script (call to f_0): @user_script:1: Script killed by user with SCRIPT KILL...",
         Trouble::later},
        {"ERR Script attempted to access a non local key in a cluster node script: f_0, on @user_script:9.",
         Trouble::later},
        {"READONLY You can't write against a read only replica.", Trouble::demoted},
        {"READONLY You can't write against a read only replica. script: f_0, on @user_script:30.", Trouble::demoted},
        {"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
         Trouble::demoted},
        {"NOAUTH Authentication required.", Trouble::denied},
        {"WRONGPASS invalid username-password pair or user is disabled.", Trouble::denied},
        {"NOPERM this user has no permissions to run the 'evalsha' command", Trouble::denied},
        {"ERR AUTH <password> called without any password configured for the default user.", Trouble::denied},
        {"OOM command not allowed when used memory > 'maxmemory'. script: f_0, on @user_script:30.", Trouble::failed},
        {"ERR unknown command 'EVALSHA'", Trouble::failed},
        {"", Trouble::failed},
    };
    for (const auto& [error, trouble] : cases) {
        INFO(error);
        CHECK(diagnose(error).trouble == trouble);
    }
}

SCENARIO("redirections name a node", "[redis]") {
    const auto moved = diagnose("MOVED 3999 127.0.0.1:6381");
    CHECK(moved.trouble == Trouble::moved);
    CHECK(moved.slot == 3999);
    CHECK(moved.node == rotagate::config::Address{"127.0.0.1", 6381, {}});
    const auto ask = diagnose("ASK 16383 2001:db8::1:6381");
    CHECK(ask.trouble == Trouble::ask);
    CHECK(ask.node == rotagate::config::Address{"2001:db8::1", 6381, {}});
    CHECK(diagnose("MOVED 5 :6381").node == rotagate::config::Address{"", 6381, {}});
    for (const char* bad : {"MOVED", "MOVED ", "MOVED 1", "MOVED 1 h", "MOVED 1 h:", "MOVED 1 h:0", "MOVED 16384 h:1",
                            "MOVED x h:1", "MOVED 1 h:99999", "ASK 1 h:1x"}) {
        INFO(bad);
        CHECK(diagnose(bad).trouble == Trouble::failed);
    }
}
