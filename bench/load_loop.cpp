#include "bench/load_loop.hpp"

#include <algorithm>

#include "bench/browser.hpp"

namespace rotagate::bench {
namespace {

constexpr std::size_t sign_ins_at_once = 16;  // a login may be dear; the load itself has not begun

std::vector<Step> all_steps(const Scenario& scenario) {
    std::vector<Step> steps = scenario.requests;
    Step absent;
    absent.weight = 0;
    for (const auto& special : {scenario.login, scenario.logout}) steps.push_back(special.value_or(absent));
    steps[steps.size() - 2].weight = 0;  // nobody chooses to sign in again
    return steps;
}

std::vector<unsigned> weights(const std::vector<Step>& steps) {
    std::vector<unsigned> found;
    found.reserve(steps.size());
    for (const Step& step : steps) found.push_back(step.weight);
    return found;
}

std::string largest_body(const std::vector<Step>& steps) {
    std::uint64_t size = 0;
    for (const Step& step : steps) size = std::max(size, step.body);
    return std::string(size, 'x');
}

std::size_t share_of(std::size_t total, Schedule::Share share) {
    return total / share.count + (share.index < total % share.count ? 1 : 0);
}

}  // namespace

struct LoadLoop::User {
    User(ClientLoop& loop, std::string user_name, Random own_random)
        : client(Browser(loop).new_client()), name(std::move(user_name)), random(own_random) {}

    std::unique_ptr<HttpClient> client;
    CookieJar jar;
    std::string name;
    Random random;
    bool signed_in = false;
    std::string target, form;  ///< of the request in flight, where they have placeholders
    Clock::time_point due;
    std::optional<std::size_t> asks;  ///< the step that is due, until it is counted
    proxy::Signal turn;
};

LoadLoop::LoadLoop(const LoadSettings& settings, ClientLoop& loop, Tally& tally, Schedule::Share share)
    : settings_(settings),
      loop_(loop),
      tally_(tally),
      share_(share),
      steps_(all_steps(settings.scenario)),
      login_(steps_.size() - 2),
      logout_(steps_.size() - 1),
      mix_(weights(steps_)),
      body_(largest_body(steps_)),
      in_flight_(share_of(settings.connections, share)),
      due_(loop.context()) {
    for (std::size_t i = share.index; i < settings.users; i += share.count)
        users_.push_back(std::make_unique<User>(loop, "user-" + std::to_string(i), Random(settings.seed, i + 1)));
}

LoadLoop::~LoadLoop() = default;

std::vector<std::string> LoadLoop::step_names(const Scenario& scenario) {
    std::vector<std::string> names;
    for (const Step& step : scenario.requests) names.push_back(step.name);
    names.insert(names.end(), {"login", "logout"});
    return names;
}

// ---- signing in -----------------------------------------------------------------------------------------------------

void LoadLoop::sign_in_all(std::function<void(std::size_t)> done) {
    all_signed_in_ = std::move(done);
    if (!settings_.scenario.login || users_.empty()) return all_signed_in_(users_.size());
    signing_in_ = std::min(sign_ins_at_once, users_.size());
    for (std::size_t i = signing_in_; i > 0; --i) loop_.run(sign_in_some());
}

Task<> LoadLoop::sign_in_some() {
    while (next_to_sign_in_ < users_.size()) {
        User& user = *users_[next_to_sign_in_++];
        co_await sign_in(user);
        signed_in_ += user.signed_in ? 1 : 0;
        if (!settings_.keep_alive) user.client->close();
    }
    if (--signing_in_ == 0) all_signed_in_(signed_in_);
}

Task<> LoadLoop::sign_in(User& user) {
    const auto began = Clock::now();
    user.signed_in = false;
    Failure failure = co_await ask(user, steps_[login_]);
    if (failure == Failure::none && user.jar.empty()) failure = Failure::login;
    user.signed_in = failure == Failure::none;
    tally_.record(login_, std::chrono::duration_cast<Histogram::Duration>(Clock::now() - began), failure);
}

// ---- the load -------------------------------------------------------------------------------------------------------

void LoadLoop::begin(Clock::time_point start) {
    zero_ = start + settings_.warm_up;
    until_ = zero_ + settings_.duration;
    if (settings_.rate) schedule_.emplace(start, *settings_.rate, settings_.arrivals, share_, settings_.seed);
    for (const auto& user : users_) loop_.run(live(*user));
    if (schedule_) await_due();
}

void LoadLoop::await_due() {
    due_.expires_at(schedule_->next());
    due_.async_wait([this](proxy::error_code error) {
        if (error || ended_) return;
        loop_.note_lag(due_.expiry());
        become_due();
        if (schedule_->next() <= until_) await_due();
    });
}

/// Who has this loop end may be late, on a busy machine.
void LoadLoop::become_due() {
    for (const auto now = std::min(Clock::now(), until_); schedule_->next() <= now; schedule_->advance())
        overdue_.push_back(schedule_->next());
    while (!overdue_.empty() && !idle_.empty()) {
        const auto due = overdue_.front();
        overdue_.pop_front();
        hand_out(due);
    }
}

/// To the user who has been idle for the longest time.
void LoadLoop::hand_out(Clock::time_point due) {
    User& user = *idle_.front();
    idle_.pop_front();
    ++busy_;
    user.due = due;
    user.turn.notify();
}

/// The closed loop: as many users are busy as there shall be requests in flight.
void LoadLoop::keep_busy() {
    while (!ended_ && busy_ < in_flight_ && !idle_.empty()) hand_out(Clock::now());
}

Task<> LoadLoop::live(User& user) {
    for (;;) {
        if (overdue_.empty()) {
            idle_.push_back(&user);
            if (!schedule_) loop_.post([this] { keep_busy(); });  // behind this user's own wait
            co_await user.turn.wait();
        } else {
            ++busy_;
            user.due = overdue_.front();
            overdue_.pop_front();
        }
        co_await act(user);
        --busy_;
        tell_end();
    }
}

Task<> LoadLoop::act(User& user) {
    const std::size_t chosen = mix_.choose(user.random);
    user.asks = chosen;
    const Failure failure = co_await ask(user, steps_[chosen]);
    const auto now = Clock::now();
    if (user.due < zero_ && now >= zero_) {
        tally_.record_late(failure);
    } else {
        tally_.record(chosen, std::chrono::duration_cast<Histogram::Duration>(now - user.due), failure);
    }
    user.asks.reset();
    if (chosen == logout_ || failure == Failure::session_lost) user.signed_in = false;
    if (settings_.scenario.login && !user.signed_in) co_await sign_in(user);
    if (!settings_.keep_alive) user.client->close();
}

Task<Failure> LoadLoop::ask(User& user, const Step& step) {
    const Request request = compose(user, step);
    const Failure failure = co_await user.client->ask(request, user.jar);
    if (failure != Failure::none) co_return failure;
    user.client->adopt_cookies(user.jar);
    const Failure verdict = judge(user, step);
    const Failure cut = co_await user.client->read_body();
    co_return cut != Failure::none ? cut : verdict;
}

Request LoadLoop::compose(User& user, const Step& step) const {
    Request request;
    request.method = step.method;
    request.target = step.path;
    request.content_type = step.content_type;
    request.body = step.body > 0 ? std::string_view(body_).substr(0, step.body) : std::string_view(step.form);
    if (step.path.find('{') != std::string::npos)
        request.target = user.target = filled(step.path, user.name, user.random.next());
    if (step.form.find('{') != std::string::npos)
        request.body = user.form = filled(step.form, user.name, user.random.next());
    return request;
}

Failure LoadLoop::judge(const User& user, const Step& step) const {
    const unsigned status = user.client->head().status;
    if (status >= 500) return Failure::status_5xx;
    const bool unknown = status == 401 || sent_to_login(user);
    if (&step == &steps_[login_]) return status >= 400 || unknown ? Failure::login : Failure::none;
    if (user.signed_in && step.needs_session && unknown) return Failure::session_lost;
    return status >= 400 ? Failure::status_4xx : Failure::none;
}

bool LoadLoop::sent_to_login(const User& user) const {
    return settings_.scenario.login && user.client->redirects_to(steps_[login_].path_only());
}

// ---- its end --------------------------------------------------------------------------------------------------------

void LoadLoop::end(std::function<void()> done) {
    if (schedule_) become_due();  // what the timer has not told yet
    ended_ = true;
    due_.cancel();
    all_done_ = std::move(done);
    tell_end();
}

void LoadLoop::give_up(Clock::time_point now) {
    for (const auto& user : users_) {
        if (!user->asks || user->due < zero_) continue;
        tally_.record(*user->asks, std::chrono::duration_cast<Histogram::Duration>(now - user->due), Failure::timeout);
    }
}

void LoadLoop::tell_end() {
    if (!all_done_ || busy_ > 0 || !overdue_.empty()) return;
    std::exchange(all_done_, nullptr)();
}

}  // namespace rotagate::bench
