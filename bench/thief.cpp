#include "bench/thief.hpp"

#include <fmt/format.h>

namespace rotagate::bench {
namespace {

constexpr double victim_polling = 0.25;  // graces between two looks at what the victim does
constexpr int patience = 60 * 4;         // looks: a victim that browses presents newer cookies long before
constexpr int most_unclear = 5;          // uses in a row

}  // namespace

Thief::Thief(const PeopleSettings& settings, ClientLoop& loop, PeopleTally& tally, Person& victim, std::size_t number)
    : settings_(settings),
      loop_(loop),
      tally_(tally),
      victim_(victim),
      random_(settings.seed, number * 64 + 63),
      client_(Browser(loop).new_client()) {}

void Thief::start(std::function<void()> done) {
    victim_.follow(true);
    loop_.run(work(std::move(done)));
}

Task<> Thief::pause(double graces) {
    return loop_.sleep_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(graces * settings_.grace));
}

Task<> Thief::work(std::function<void()> done) {
    do {
        const TheftPlan plan = plan_theft(random_);
        co_await steal(plan);
    } while (victim_.has_views_left());
    victim_.follow(false);
    client_->close();
    done();
}

Task<> Thief::steal(const TheftPlan& plan) {
    co_await pause(plan.begins_after);
    Loot loot = co_await copy();
    co_await pause(plan.first_use);
    if (loot.session->is_over()) co_return;
    loot.session->first_theft = Clock::now();
    tally_.change([](PeopleCounts& counts) { ++counts.thefts; });
    co_await exploit(loot, plan);
    co_await wait_for_owner(*loot.session);
}

Task<Thief::Loot> Thief::copy() {
    auto session = victim_.session();
    while (!session || session->is_over()) {
        co_await pause(victim_polling);
        session = victim_.session();
    }
    session->is_copied = true;
    Loot loot{session, victim_.jar(), Clock::now()};
    co_return loot;
}

/// Until the thief or the owner is refused, a copy is accepted that must not be, or the answers tell nothing.
Task<> Thief::exploit(Loot& loot, const TheftPlan& plan) {
    OwnSession& session = *loot.session;
    int unclear = 0;
    for (std::size_t uses = 0; !session.is_over(); ++uses) {
        const bool worthless = session.superseded.refuses(loot.minted_before, Clock::now());
        const Outcome outcome = co_await use(loot);
        if (session.is_over()) break;  // the owner was refused meanwhile
        if (outcome == Outcome::refused) co_return detected(session);
        if (outcome == Outcome::accepted && worthless) co_return undetected("a superseded cookie was accepted");
        unclear = outcome == Outcome::unclear ? unclear + 1 : 0;
        if (unclear == most_unclear) co_return inconclusive(session);
        if (uses < plan.pauses.size() || unclear > 0) {
            co_await pause(uses < plan.pauses.size() ? plan.pauses[uses] : 1);
            continue;
        }
        const bool is_worthless = co_await wait_until_worthless(loot);
        if (!is_worthless) co_return undetected("owner and thief went on side by side");
    }
}

Task<Thief::Outcome> Thief::use(Loot& loot) {
    const std::string target = filled(settings_.pages[random_.below(settings_.pages.size())], victim_.name(), 0);
    Request request;
    request.target = target;
    const Failure failure = co_await client_->ask(request, loot.jar);
    if (failure != Failure::none) co_return Outcome::unclear;
    const unsigned status = client_->head().status;
    const bool is_refused = status == 401 || client_->redirects_to(settings_.login.path_only());
    if (!is_refused && client_->adopt_cookies(loot.jar) > 0) loot.minted_before = Clock::now();
    co_await client_->read_body();
    if (is_refused) co_return Outcome::refused;
    co_return status < 400 ? Outcome::accepted : Outcome::unclear;
}

/// False: that would have happened long ago if the site changed its cookies.
Task<bool> Thief::wait_until_worthless(const Loot& loot) {
    for (int i = 0; i < patience; ++i) {
        if (loot.session->is_over() || loot.session->superseded.refuses(loot.minted_before, Clock::now()))
            co_return true;
        co_await pause(victim_polling);
    }
    co_return false;
}

/// What a replay ends is ended for the owner, too.
Task<> Thief::wait_for_owner(const OwnSession& session) {
    for (int i = 0; i < patience && session.refused_at_thief && !session.lost && !session.has_survived; ++i)
        co_await pause(victim_polling);
}

void Thief::detected(OwnSession& session) {
    const auto now = Clock::now();
    session.refused_at_thief = now;
    tally_.change([&](PeopleCounts& counts) {
        ++counts.detected_at_thief;
        counts.detection.record(std::chrono::duration_cast<Histogram::Duration>(now - *session.first_theft));
    });
}

void Thief::undetected(std::string_view why) {
    tally_.change([&](PeopleCounts& counts) {
        ++counts.undetected;
        counts.add_incident(fmt::format("undetected: {}: {}", victim_.name(), why));
    });
}

void Thief::inconclusive(OwnSession& session) {
    session.is_uncertain = true;
    tally_.change([](PeopleCounts& counts) { ++counts.inconclusive_thefts; });
}

}  // namespace rotagate::bench
