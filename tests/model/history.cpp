#include "history.hpp"

namespace rotagate::model {

History::History(std::uint64_t seed, Backend& backend)
    : random_(seed), backend_(backend), grace_(backend.grace), oracle_(backend.grace) {
    // Gateways that do not know the store's clock exactly use up some of the grace. And the clock counts milliseconds:
    // what it shows as G may be a little less.
    const Millis off = chance(50) ? Millis{0} : grace_ / 50;
    for (auto& skew : backend.skew) skew = time(-off, off);
    slowest_ = grace_ - 2 * off - Millis{1};
    busy_ = chance(30);
}

// Extremes are likely, since mistakes live there.
Millis History::network() {
    if (busy_ && chance(90)) return time(Millis{0}, grace_ / 50);
    switch (number(0, 3)) {
        case 0:
            return Millis{0};
        case 1:
            return slowest_;
        default:
            return time(Millis{0}, slowest_);
    }
}

Millis History::app() {
    if (busy_ && chance(90)) return time(Millis{0}, grace_ / 50);
    switch (number(0, 3)) {
        case 0:
            return Millis{0};
        case 1:
            return time(Millis{0}, 10 * grace_);
        default:
            return time(Millis{0}, grace_);
    }
}

Millis History::pause() {
    if (busy_ && chance(97)) return time(Millis{0}, grace_ / 10);
    switch (number(0, 9)) {
        case 0:
            return time(Millis{0}, 20 * grace_);
        case 1:
        case 2:
            return Millis{0};
        case 3:
        case 4:
            return time(Millis{0}, 3 * grace_);
        default:
            return time(Millis{0}, grace_ / 5);
    }
}

void History::after(Millis delay, std::function<void()> happen) {
    events_.emplace(backend_.now + delay, std::move(happen));
}

void History::run() {
    while (!events_.empty()) {
        const auto event = events_.extract(events_.begin());
        backend_.now = event.key();
        event.mapped()();
    }
}

void History::log_in() {
    victim_.jar = backend_.login({}, gateway());
    oracle_.started(victim_.jar->id, backend_.now);
    minted_.push_back(*victim_.jar);
}

void History::browse(Browser& browser, int pages) {
    if (busy_) pages *= 3;
    Millis start{0};
    for (int page = 0; page < pages; ++page) {
        start += pause();
        for (auto parallel = chance(30) ? number(2, 6) : 1; parallel > 0; --parallel) {
            after(start, [this, &browser] { send(browser); });
        }
    }
}

void History::send(Browser& browser) {
    if (!browser.jar || chance(5)) return;  // the request is lost
    const auto deliver = [this, &browser, cookie = *browser.jar, via = gateway()] { arrive(browser, cookie, via); };
    after(network(), deliver);
    if (chance(5)) after(network(), deliver);  // the network, or the browser, repeats it
}

void History::arrive(Browser& browser, const Cookie& cookie, int via) {
    const bool lived = !oracle_.has_ended(cookie.id);
    const Outcome outcome = backend_.present(cookie, via);
    if (alone_ && lived && outcome != Outcome::valid) throw Violation{"R1: no false logout"};
    oracle_.judge(cookie, outcome, backend_.now);
    if (outcome != Outcome::valid) return;
    after(app(), [this, &browser, id = cookie.id, via] { respond(browser, id, via); });
}

void History::respond(Browser& browser, const SessionId& id, int via) {
    if (backend_.known_ended(id) != oracle_.has_ended(id)) throw Violation{"R7: the gateway knows whether it ended"};
    if (oracle_.has_ended(id)) return;  // an answer without a cookie
    minted_.push_back(backend_.mint(id, via));
    receive(browser, minted_.back());
}

void History::receive(Browser& browser, Cookie cookie) {
    if (chance(15)) return;  // the answer is lost
    after(network(), [&browser, arrived = std::move(cookie)] { browser.jar = arrived; });
}

Outcome History::present(const Cookie& cookie) {
    const Outcome outcome = backend_.present(cookie, gateway());
    oracle_.judge(cookie, outcome, backend_.now);
    return outcome;
}

void History::end(const SessionId& id) {
    backend_.end(id);
    oracle_.ended(id);
}

void History::honest() {
    log_in();
    browse(victim_, static_cast<int>(number(5, 30)));
    run();
    end(victim_.jar->id);
}

void History::with_thieves() {
    alone_ = false;
    log_in();
    browse(victim_, static_cast<int>(number(5, 20)));
    after(time(Millis{0}, 10 * grace_), [this] {
        thief_.jar = victim_.jar;
        browse(thief_, static_cast<int>(number(1, 20)));
    });
    for (auto tries = number(0, 2); tries > 0; --tries) {
        after(time(Millis{0}, 30 * grace_), [this] {
            const auto last = static_cast<std::int64_t>(minted_.size()) - 1;
            present(minted_[static_cast<std::size_t>(number(0, last))]);
        });
    }
    run();
    pause_and_return();
    end(victim_.jar->id);
}

/// R3: one side pauses while the other goes on, and comes back.
void History::pause_and_return() {
    if (oracle_.has_ended(victim_.jar->id)) return;
    const bool thief_pauses = chance(50);
    const Cookie paused = thief_pauses ? *thief_.jar : *victim_.jar;
    Cookie active = thief_pauses ? *victim_.jar : *thief_.jar;
    const auto go_on = [&] {
        if (present(active) != Outcome::valid) return false;  // the active chain was the older one by far
        active = backend_.mint(active.id, gateway());
        backend_.now += time(Millis{0}, grace_ / 2);
        return true;
    };
    Millis newer_since{0};
    while (newer_since == Millis{0} || backend_.now < newer_since + 2 * grace_) {
        if (newer_since == Millis{0} && active.minted > paused.minted + grace_ + grace_ / 10)
            newer_since = backend_.now;
        if (!go_on()) return;
    }
    if (present(paused) != Outcome::replayed) throw Violation{"R3: the next use of the older chain ends the session"};
    if (present(active) != Outcome::unknown) throw Violation{"R3: for both"};
}

void History::with_logins() {
    log_in();
    browse(victim_, static_cast<int>(number(5, 20)));
    for (auto logins = number(1, 4); logins > 0; --logins) {
        after(time(Millis{0}, 20 * grace_), [this] { send_login(); });
    }
    for (auto logouts = number(0, 2); logouts > 0; --logouts) {
        after(time(Millis{0}, 20 * grace_), [this] { send_logout(); });
    }
    if (chance(30)) {
        after(time(Millis{0}, 20 * grace_), [this] { end(minted_.back().id); });  // an operator revokes
    }
    run();
    for (const Cookie& cookie : minted_) {
        if (!oracle_.has_ended(cookie.id)) end(cookie.id);
    }
    for (const Cookie& cookie : minted_) present(cookie);
}

void History::send_login() {
    const auto deliver = [this, carried = victim_.jar, via = gateway()] {
        if (carried) oracle_.judge(*carried, backend_.present(*carried, via), backend_.now);
        after(app(), [this, carried, via] {
            const Cookie cookie = backend_.login(carried ? std::optional{carried->id} : std::nullopt, via);
            if (carried) oracle_.replaced(carried->id, backend_.now);
            oracle_.started(cookie.id, backend_.now);
            minted_.push_back(cookie);
            receive(victim_, cookie);
        });
    };
    after(network(), deliver);
}

void History::send_logout() {
    if (!victim_.jar) return;
    after(network(), [this, cookie = *victim_.jar] {
        if (present(cookie) != Outcome::valid) return;
        after(app(), [this, id = cookie.id] {
            end(id);
            after(network(), [this] { victim_.jar.reset(); });
        });
    });
}

}  // namespace rotagate::model
