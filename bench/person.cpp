#include "bench/person.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace rotagate::bench {
namespace {

constexpr std::size_t kept_connections = 6;  // as browsers have for one site
constexpr double polling = 0.05;             // graces between two looks at what another tab does

}  // namespace

Person::Person(const PeopleSettings& settings, ClientLoop& loop, PeopleTally& tally, Pace& pace, std::size_t number,
               std::uint64_t views)
    : settings_(settings),
      loop_(loop),
      tally_(tally),
      pace_(pace),
      browser_(loop),
      name_("person-" + std::to_string(number)),
      views_left_(views) {
    Random random(settings.seed, number * 64);
    const std::size_t count = 1 + random.below(settings.habits.most_tabs);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t share = views / count + (i < views % count ? 1 : 0);
        tabs_.push_back({Random(settings.seed, number * 64 + i + 1), share});
    }
}

void Person::start(Clock::duration after, std::function<void()> done) {
    done_ = std::move(done);
    is_changing_ = true;
    loop_.run(begin(after));
}

Clock::duration Person::time(double graces) const {
    return std::chrono::duration_cast<Clock::duration>(graces * settings_.grace);
}

Task<> Person::pause(double graces) { return loop_.sleep_until(Clock::now() + time(graces)); }

// ---- browsing -------------------------------------------------------------------------------------------------------

Task<> Person::browse(Tab& tab) {
    for (std::uint64_t i = 0; i < tab.views || followers_ > 0; ++i) {
        const bool counts = i < tab.views;
        const ViewPlan plan = plan_view(tab.random, settings_.habits);
        if (counts) tab.digest = digest(plan, tab.digest);
        co_await pause(plan.pause);
        while (is_changing_) co_await pause(polling);
        co_await view(plan);
        views_left_ -= counts ? 1 : 0;
        if (plan.logs_out && followers_ == 0 && !is_changing_) co_await log_out();
    }
    tally_.change([&](PeopleCounts& counts) { counts.decisions ^= tab.digest; });
    done_();
}

Task<> Person::view(const ViewPlan& plan) {
    ++viewing_;
    co_await fetch(plan.page, settings_.pages[plan.page.path % settings_.pages.size()], true);
    Parts parts;
    parts.running = settings_.parts.empty() ? 0 : plan.parts.size();
    if (parts.running > 0) {
        for (const RequestPlan& one : plan.parts) loop_.run(part(one, parts));
        if (parts.running > 0) co_await parts.over.wait();
    }
    --viewing_;
    tally_.change([](PeopleCounts& counts) { ++counts.views; });
}

Task<> Person::part(const RequestPlan& plan, Parts& parts) {
    co_await fetch(plan, settings_.parts[plan.path % settings_.parts.size()], false);
    if (--parts.running == 0) parts.over.notify();
}

Task<> Person::fetch(const RequestPlan& plan, const std::string& path, bool navigates) {
    const std::string target = filled(path, name_, plan.path);
    Request request;
    request.target = target;
    request.navigates = navigates;
    tally_.change([&](PeopleCounts& counts) {
        counts.late += plan.departs_late > 0 || plan.arrives_late > 0 ? 1 : 0;
        counts.lost += plan.is_lost ? 1 : 0;
        counts.retries += plan.is_lost && plan.is_retried ? 1 : 0;
    });
    if (plan.is_lost) co_await lose(plan, request);
    if (!plan.is_lost || plan.is_retried) co_await complete(plan, request);
}

Journeys::Place Person::leave() {
    return session_->journeys.begin(
        {.minted_after = minted_after_, .brought_within = brought_within_, .left = Clock::now()});
}

/// The answer is sent, or will be, with a cookie that reaches nobody.
Task<> Person::lose(const RequestPlan& plan, const Request& request) {
    const auto session = session_;
    const CookieJar jar = jar_;
    const auto journey = leave();
    if (plan.departs_late > 0) co_await pause(plan.departs_late);
    auto client = take_client();
    const auto sent_at = Clock::now();
    pace_.asked(sent_at);
    co_await client->send(request, jar);
    pace_.over(sent_at, Clock::now());
    if (plan.arrives_late > 0) co_await pause(plan.arrives_late);
    client->close();
    session->journeys.give_up(journey, Clock::now());
    tally_.change([](PeopleCounts& counts) { ++counts.requests; });
}

Task<> Person::complete(const RequestPlan& plan, const Request& request) {
    const auto session = session_;
    const CookieJar jar = jar_;  // what the jar gets meanwhile, this request does not have
    Sent sent{.journey = leave(), .at = {}};
    if (plan.departs_late > 0) co_await pause(plan.departs_late);
    auto client = take_client();
    sent.at = Clock::now();
    pace_.asked(sent.at);
    Failure failure = co_await client->ask(request, jar);
    pace_.over(sent.at, Clock::now());
    sent.journey->taken_within = Clock::now() - sent.journey->left;
    if (failure == Failure::none && plan.arrives_late > 0) co_await pause(plan.arrives_late);
    if (failure == Failure::none) {
        adopt(*client, sent.at);
        judge(*session, *client, request, sent);
        failure = co_await client->read_body();
    } else {
        session->journeys.give_up(sent.journey, Clock::now());
    }
    tally_.change([&](PeopleCounts& counts) {
        ++counts.requests;
        ++counts.failures[index(failure)];
    });
    give_back(std::move(client));
}

void Person::adopt(const HttpClient& client, Clock::time_point sent_at) {
    if (client.adopt_cookies(jar_) == 0) return;
    minted_after_ = sent_at;
    brought_within_ = Clock::now() - sent_at;
}

void Person::judge(OwnSession& session, const HttpClient& client, const Request& request, Sent sent) {
    const unsigned status = client.head().status;
    if (status == 401 || client.redirects_to(settings_.login.path_only()))
        return refused(session, client, request, *sent.journey);
    if (status < 400) return let_in(session, sent);
    session.journeys.give_up(sent.journey, Clock::now());  // it does not tell whether the session was looked at
    const Failure kind = status >= 500 ? Failure::status_5xx : Failure::status_4xx;
    tally_.change([&](PeopleCounts& counts) { ++counts.failures[index(kind)]; });
}

void Person::let_in(OwnSession& session, Sent sent) {
    tally_.change([](PeopleCounts& counts) { ++counts.let_in; });
    if (session.is_copied) session.superseded.presented(sent.journey->minted_after, Clock::now());
    session.journeys.valid(sent.journey);
    if (!session.refused_at_thief || sent.at < *session.refused_at_thief || session.has_survived) return;
    session.has_survived = true;
    tally_.change([&](PeopleCounts& counts) {
        ++counts.undetected;
        counts.add_incident(fmt::format("undetected: {}: the thief was refused, but the session lives on", name_));
    });
}

void Person::refused(OwnSession& session, const HttpClient& client, const Request& request, const Journey& journey) {
    tally_.change([](PeopleCounts& counts) { ++counts.turned_away; });
    if (session.is_over()) return;
    session.lost = true;
    const auto now = Clock::now();
    tally_.change([&](PeopleCounts& counts) {
        if (session.refused_at_thief) return;  // counted there
        if (session.is_uncertain) {
            ++counts.inconclusive;
            return;
        }
        if (session.first_theft) {
            ++counts.detected_at_owner;
            counts.detection.record(std::chrono::duration_cast<Histogram::Duration>(now - *session.first_theft));
            return;
        }
        if (session.journeys.excuse(now, pace_)) {
            ++counts.inconclusive;
            return;
        }
        ++counts.false_logouts;
        const auto graces = [&](Clock::duration time) {
            return std::chrono::duration<double>(time) / std::chrono::duration<double>(settings_.grace);
        };
        counts.add_incident(
            fmt::format("false logout: {}: {} got {}; its cookie came within {:.2f} and left within "
                        "{:.2f} graces",
                        name_, request.target, client.head().status, graces(journey.brought_within),
                        graces(journey.taken_within.value_or(now - journey.left))));
    });
    if (is_changing_) return;
    is_changing_ = true;
    loop_.run(sign_in_again());
}

// ---- signing in and out ---------------------------------------------------------------------------------------------

Task<> Person::begin(Clock::duration after) {
    co_await loop_.sleep_until(Clock::now() + after);
    co_await sign_in_again();
    for (Tab& tab : tabs_) loop_.run(browse(tab));
}

Task<> Person::log_out() {
    is_changing_ = true;
    session_->left = true;
    co_await submit(settings_.logout);
    tally_.change([](PeopleCounts& counts) { ++counts.logouts; });
    co_await sign_in_again();
}

/// Not before the answers of the old session are there: one that comes later than the login's overwrites its cookie,
/// whatever the site does.
Task<> Person::sign_in_again() {
    while (viewing_ > 0) co_await pause(polling);
    jar_.clear();
    // Not as the loop's condition: GCC 12 makes a trap of a co_await there.
    for (bool done = false; !done;) {
        done = co_await sign_in();
        if (!done) co_await pause(0.5);
    }
    is_changing_ = false;
}

Task<bool> Person::sign_in() {
    const Failure failure = co_await submit(settings_.login);
    tally_.change(
        [&](PeopleCounts& counts) { ++(failure == Failure::none ? counts.logins : counts.failures[index(failure)]); });
    if (failure != Failure::none) co_return false;
    session_ = std::make_shared<OwnSession>(settings_.grace, settings_.connection.timeout);
    co_return true;
}

Task<Failure> Person::submit(const Step& step) {
    const std::string target = filled(step.path, name_, 0), form = filled(step.form, name_, 0);
    const Request request{
        .method = step.method, .target = target, .content_type = step.content_type, .body = form, .navigates = true};
    auto client = take_client();
    const auto sent_at = Clock::now();
    pace_.asked(sent_at);
    const Failure failure = co_await client->ask(request, jar_);
    pace_.over(sent_at, Clock::now());
    if (failure != Failure::none) co_return failure;
    adopt(*client, sent_at);
    const unsigned status = client->head().status;
    const bool is_login = &step == &settings_.login;
    const bool is_refused = status >= 400 || (is_login && (jar_.empty() || client->redirects_to(step.path_only())));
    const Failure cut = co_await client->read_body();
    if (cut == Failure::none) give_back(std::move(client));
    co_return is_refused ? Failure::login : cut;
}

// ---- connections ----------------------------------------------------------------------------------------------------

std::unique_ptr<HttpClient> Person::take_client() {
    if (idle_.empty()) return browser_.new_client();
    auto client = std::move(idle_.back());
    idle_.pop_back();
    return client;
}

void Person::give_back(std::unique_ptr<HttpClient> client) {
    if (client->is_open() && idle_.size() < kept_connections) idle_.push_back(std::move(client));
}

}  // namespace rotagate::bench
