#include "bench/interruption.hpp"

#include <csignal>

namespace rotagate::bench {
namespace {

sigset_t ending_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

}  // namespace

Interruption::Interruption() {
    const sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

bool Interruption::before(std::chrono::steady_clock::time_point time) {
    using namespace std::chrono;
    const sigset_t signals = ending_signals();
    while (!came_) {
        const auto left = duration_cast<nanoseconds>(time - steady_clock::now());
        if (left.count() <= 0) break;
        const timespec wait{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
        came_ = ::sigtimedwait(&signals, nullptr, &wait) > 0;
    }
    return came_;
}

}  // namespace rotagate::bench
