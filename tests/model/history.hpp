#pragma once

#include <functional>
#include <map>
#include <random>

#include "oracle.hpp"

namespace rotagate::model {

/// One random history of browsers, networks, slow apps and thieves. The same seed gives the same history.
/// Each kind throws Violation where a promise does not hold.
class History {
public:
    History(std::uint64_t seed, Backend& backend);

    /// One browser and its network, each way of which takes less than G; nobody else. (R1)
    void honest();
    /// The browser, a thief with a copied cookie, and one who tries old ones; then one of the chains pauses. (R2, R3)
    void with_thieves();
    /// The browser logs in and out while answers are on their way; an operator revokes. (R7)
    void with_logins();

private:
    struct Browser {
        std::optional<Cookie> jar;
    };

    bool chance(int percent) { return number(0, 99) < percent; }
    std::int64_t number(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>{low, high}(random_);
    }
    Millis time(Millis low, Millis high) { return Millis{number(low.count(), high.count())}; }
    Millis network();
    Millis app();
    Millis pause();
    int gateway() { return static_cast<int>(number(0, Backend::gateways - 1)); }

    void after(Millis delay, std::function<void()> happen);
    void run();

    void log_in();
    void browse(Browser& browser, int pages);
    void send(Browser& browser);
    void arrive(Browser& browser, const Cookie& cookie, int via);
    void respond(Browser& browser, const SessionId& id, int via);
    void receive(Browser& browser, Cookie cookie);
    void send_login();
    void send_logout();
    void pause_and_return();
    Outcome present(const Cookie& cookie);
    void end(const SessionId& id);

    std::mt19937_64 random_;
    Backend& backend_;
    const Millis grace_;
    Millis slowest_;  ///< of the network, one way
    bool busy_;       ///< a page that polls over a good network, mostly
    Oracle oracle_;
    std::multimap<Millis, std::function<void()>> events_;  ///< of one moment in the order in which they were planned
    Browser victim_, thief_;
    std::vector<Cookie> minted_;
    bool alone_ = true;  ///< nobody but the victim holds her cookies
};

}  // namespace rotagate::model
