#include "bench/load.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <future>
#include <memory>
#include <ostream>
#include <stdexcept>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "bench/cpu_time.hpp"
#include "bench/interruption.hpp"
#include "bench/load_loop.hpp"

namespace rotagate::bench {
namespace {

using namespace std::chrono_literals;

double seconds_of(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Everything of one run; the calling thread reports, the loops do the work.
class LoadRun {
public:
    LoadRun(const LoadSettings& settings, std::ostream& progress);
    ~LoadRun();
    LoadReport run();

private:
    bool sign_in();
    void measure();
    void watch(Clock::time_point from, Clock::time_point until);
    void collect(double at, double length);
    void drain();
    void note_cpu();
    template <class Started>
    bool on_all(Started start, Clock::time_point deadline);

    const LoadSettings& settings_;
    std::ostream& progress_;
    Interruption interruption_;
    bool interrupted_ = false;
    std::vector<ProcessTimes> before_;  ///< of report_.processes
    std::vector<std::unique_ptr<Tally>> tallies_;
    std::vector<std::unique_ptr<ClientLoop>> loops_;
    std::vector<std::unique_ptr<LoadLoop>> loads_;  // before loops_ they go: their connections belong to those
    Clock::time_point zero_;                        ///< the end of the warm-up
    LoadReport report_;
};

LoadRun::LoadRun(const LoadSettings& settings, std::ostream& progress) : settings_(settings), progress_(progress) {
    const auto count = static_cast<unsigned>(std::min<std::size_t>(settings.threads, settings.users));
    report_.step_names = LoadLoop::step_names(settings.scenario);
    for (const int pid : settings.pids) {
        const auto times = process_times(pid);
        if (!times) throw std::runtime_error(fmt::format("--pid {}: there is no such process", pid));
        report_.processes.push_back({pid, name_of(pid), 0});
        before_.push_back(*times);
    }
    for (unsigned i = 0; i < count; ++i) {
        tallies_.push_back(std::make_unique<Tally>(report_.step_names.size()));
        loops_.push_back(std::make_unique<ClientLoop>(settings.connection));
        loads_.push_back(
            std::make_unique<LoadLoop>(settings, *loops_.back(), *tallies_.back(), Schedule::Share{i, count}));
    }
    for (const auto& loop : loops_) loop->start();
}

LoadRun::~LoadRun() {
    for (const auto& loop : loops_) loop->stop();
}

/// Has every loop start something that calls back, and waits for all of them.
/// @param start  of LoadLoop& and a callback
/// @return false: it was interrupted, or took too long
template <class Started>
bool LoadRun::on_all(Started start, Clock::time_point deadline) {
    struct Waiting {
        std::atomic<std::size_t> count;
        std::promise<void> all;
    };
    const auto waiting = std::make_shared<Waiting>();
    waiting->count = loops_.size();
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        loops_[i]->post([&load = *loads_[i], start, waiting] {
            start(load, [waiting] {
                if (--waiting->count == 0) waiting->all.set_value();
            });
        });
    }
    const auto done = waiting->all.get_future();
    while (done.wait_for(20ms) != std::future_status::ready) {
        if (interruption_.before(Clock::now() + 1ms)) interrupted_ = true;
        if (interrupted_ || Clock::now() > deadline) return false;
    }
    return true;
}

bool LoadRun::sign_in() {
    const auto signed_in = std::make_shared<std::atomic<std::size_t>>(0);
    const bool done = on_all(
        [signed_in](LoadLoop& load, auto told) {
            load.sign_in_all([signed_in, told](std::size_t count) {
                *signed_in += count;
                told();
            });
        },
        Clock::time_point::max());
    if (!done) return false;
    Statistics logins(report_.step_names.size());
    for (const auto& tally : tallies_) logins.merge(tally->take());
    if (!settings_.scenario.login) return true;
    progress_ << fmt::format("{} of {} users signed in, p50 {:.1f} ms\n", signed_in->load(), settings_.users,
                             static_cast<double>(logins.latency.at(50).count()) / 1000);
    if (*signed_in > 0) return true;
    std::string why;
    for (std::size_t i = 1; i < logins.failures.size(); ++i)
        if (logins.failures[i] > 0) why += fmt::format(" {} {}", logins.failures[i], failure_names[i]);
    if (logins.failures[index(Failure::login)] > 0) why += "; look at the login's path and form";
    throw std::runtime_error("nobody could sign in:" + why);
}

/// Called before and after what is measured: leaves the difference.
void LoadRun::note_cpu() {
    for (std::size_t i = 0; i < before_.size(); ++i) {
        ProcessUse& process = report_.processes[i];
        const auto now = process_times(process.pid);
        if (now && now->started == before_[i].started) {
            process.seconds = (now->used - before_[i].used).count();
            before_[i] = *now;
        } else {
            process.seconds.reset();
        }
    }
    report_.own_cpu = own_cpu_time().count() - report_.own_cpu;
}

void LoadRun::measure() {
    zero_ = Clock::now() + settings_.warm_up;
    report_.started = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    for (std::size_t i = 0; i < loops_.size(); ++i)
        loops_[i]->post([&load = *loads_[i], start = zero_ - settings_.warm_up] { load.begin(start); });
    watch(zero_ - settings_.warm_up, zero_);
    note_cpu();
    if (!interrupted_) watch(zero_, zero_ + settings_.duration);
    report_.measured = std::max(seconds_of(Clock::now() - zero_), 0.001);
    note_cpu();
    report_.in_time = report_.total.came;
    const std::uint64_t before = report_.total.answered();
    drain();
    report_.later = report_.total.answered() - before;
}

void LoadRun::watch(Clock::time_point from, Clock::time_point until) {
    while (from < until && !interrupted_) {
        const auto next = std::min(from + 1s, until);
        interrupted_ = interruption_.before(next);
        const auto now = interrupted_ ? Clock::now() : next;
        collect(seconds_of(now - zero_), seconds_of(now - from));
        from = next;
    }
}

void LoadRun::collect(double at, double length) {
    Statistics all(report_.step_names.size());
    for (const auto& tally : tallies_) all.merge(tally->take());
    Second second{.at = at, .length = length, .answered = all.came, .failures = all.failures};
    second.p50 = all.latency.at(50);
    second.p99 = all.latency.at(99);
    second.max = all.latency.max();
    report_.seconds.push_back(second);
    if (at > 0) report_.total.merge(all);
    const auto ms = [](Histogram::Duration value) { return static_cast<double>(value.count()) / 1000; };
    progress_ << fmt::format("{:6.0f} s {:8.0f}/s   p50 {:8.2f} ms   p99 {:8.2f} ms   max {:8.2f} ms   failed {}{}\n",
                             at, static_cast<double>(second.answered) / length, ms(second.p50), ms(second.p99),
                             ms(second.max), all.failed(), at > 0 ? "" : "   (warm-up)")
              << std::flush;
}

/// What was due in time counts, however long it takes: to leave it out would be to leave out the slowest.
void LoadRun::drain() {
    const auto deadline = Clock::now() + settings_.connection.timeout + 1s;
    const bool is_whole = !interrupted_;  // else what was under way has not had its time
    if (is_whole && !on_all([](LoadLoop& load, auto told) { load.end(told); }, deadline))
        progress_ << "the last requests were not answered\n";
    for (const auto& loop : loops_) loop->stop();
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        if (is_whole) loads_[i]->give_up(Clock::now());
        report_.total.merge(tallies_[i]->take());
        report_.unsent += loads_[i]->unsent();
        report_.no_port += loops_[i]->no_port();
        report_.worst_lag = std::max(report_.worst_lag, seconds_of(loops_[i]->worst_lag()));
    }
}

LoadReport LoadRun::run() {
    if (!sign_in()) throw std::runtime_error("interrupted before the load began");
    measure();
    return std::move(report_);
}

}  // namespace

LoadReport run_load(const LoadSettings& settings, std::ostream& progress) { return LoadRun(settings, progress).run(); }

}  // namespace rotagate::bench
