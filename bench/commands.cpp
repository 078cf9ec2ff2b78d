#include "bench/commands.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <stdexcept>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/load.hpp"
#include "bench/option_checks.hpp"
#include "bench/people.hpp"
#include "config/units.hpp"

namespace rotagate::bench {
namespace {

using namespace std::chrono_literals;

/// What both commands ask for.
struct SiteOptions {
    std::vector<std::string> targets;
    std::string login, form = "user={user}", ca, json;
    bool insecure = false, http2 = false;
    unsigned threads = 0;
    std::uint64_t seed = 1;
    std::chrono::milliseconds timeout = 10s;
};

struct LoadOptions {
    std::string scenario, report;
    std::size_t users = 0, connections = 0;
    double rate = 0;
    std::string arrivals = "even";
    std::chrono::milliseconds warm_up = 2s, duration = 10s;
    bool no_keep_alive = false;
    std::vector<int> pids;
};

struct PeopleOptions {
    std::size_t people = 100;
    double thieves = 0.1;
    std::uint64_t page_views = 10'000;
    std::chrono::milliseconds grace = 10s;
    double sign_ins = 100;
    std::string logout = "/logout";
    std::vector<std::string> pages{"/account"}, parts{"/tile/{number}?format=json"};
};

void add_duration(CLI::App& command, const std::string& name, std::chrono::milliseconds& into,
                  config::DurationForm form, const std::string& help) {
    command
        .add_option_function<std::string>(
            name,
            [&into, form, name](const std::string& text) {
                const auto parsed = form(text);
                if (const auto* refusal = std::get_if<config::Refusal>(&parsed))
                    throw CLI::ValidationError(name, "'" + text + "' " + refusal->why);
                into = std::get<0>(parsed);
            },
            help)
        ->type_name("TIME")
        ->default_str(config::text_of(into));
}

void add_site(CLI::App& command, SiteOptions& site) {
    command
        .add_option("--target", site.targets, "https://HOST[:PORT][/PATH]; several: one site's gateways, taken in turn")
        ->required()
        ->type_name("URL")
        ->allow_extra_args(false);
    command.add_option("--login", site.login, "path that a login is posted to")->type_name("PATH")->check(path_mistake);
    command.add_option("--form", site.form, "what is posted there; {user} is the user's name")->capture_default_str();
    command.add_option("--ca", site.ca, "certificates to trust, PEM; else the system's")
        ->type_name("FILE")
        ->check(CLI::ExistingFile);
    command.add_flag("--insecure", site.insecure, "trust any certificate");
    command.add_flag("--http2", site.http2, "speak HTTP/2, one connection for each user");
    command.add_option("--threads", site.threads, "event loops; 0: one per core")->capture_default_str();
    command.add_option("--seed", site.seed, "the same seed decides the same")->capture_default_str();
    add_duration(command, "--timeout", site.timeout, config::between(100ms, 1h), "for a connection, and for an answer");
    command.add_option("--json", site.json, "write the figures there")->type_name("FILE")->check(output_mistake);
}

ConnectionSettings connection(const SiteOptions& site) {
    ConnectionSettings settings;
    for (const std::string& url : site.targets) settings.targets.push_back(Target::parse(url));
    const bool mixed = std::any_of(settings.targets.begin(), settings.targets.end(), [&](const Target& target) {
        return target.secure != settings.targets.front().secure;
    });
    if (mixed) throw std::runtime_error("--target: one is https and another http; they must be the same site");
    settings.ca = site.ca;
    settings.verify = !site.insecure;
    settings.http2 = site.http2;
    settings.timeout = site.timeout;
    return settings;
}

unsigned thread_count(unsigned wanted) {
    return wanted > 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
}

// ---- load -----------------------------------------------------------------------------------------------------------

void add_load(CLI::App& command, SiteOptions& site, LoadOptions& load) {
    add_site(command, site);
    command.add_option("--scenario", load.scenario, "a YAML file: which requests, how often, login and logout")
        ->type_name("FILE")
        ->excludes("--login");
    command
        .add_option("--users", load.users,
                    "users, each with a cookie jar and a connection (default: --connections, or 100)")
        ->check(CLI::Range(1, 1'000'000));
    auto* rate =
        command
            .add_option("--rate", load.rate, "requests per second: open loop; latency counts from when each was due")
            ->check(CLI::Range(0.001, 10'000'000.0));
    command.add_option("--connections", load.connections, "requests in flight: closed loop; as fast as answers come")
        ->check(CLI::Range(1, 1'000'000))
        ->excludes(rate);
    command.add_option("--arrivals", load.arrivals, "even or poisson: how the requests of --rate are spread")
        ->check(CLI::IsMember({"even", "poisson"}))
        ->capture_default_str();
    add_duration(command, "--duration", load.duration, config::between(100ms, 24h * 7), "of what is measured");
    add_duration(command, "--warm-up", load.warm_up, {0ms, 1h, true},
                 "before that: the same load, which does not count");
    command.add_flag("--no-keep-alive", load.no_keep_alive, "a new connection for every request")->excludes("--http2");
    command.add_option("--pid", load.pids, "tell the CPU time of this process (repeatable)")
        ->type_name("PID")
        ->allow_extra_args(false);
    command.add_option("--report", load.report, "write an HTML page with plots there")
        ->type_name("FILE")
        ->check(output_mistake);
}

LoadSettings load_settings(const SiteOptions& site, const LoadOptions& load) {
    if (load.rate <= 0 && load.connections == 0) throw CLI::RequiredError("--rate or --connections");
    LoadSettings settings;
    settings.connection = connection(site);
    settings.scenario = load.scenario.empty()
                            ? Scenario::simple(settings.connection.targets.front().path, site.login, site.form)
                            : load_scenario(load.scenario);
    if (load.rate > 0) settings.rate = load.rate;
    settings.connections = load.connections;
    settings.users = load.users > 0 ? load.users : load.connections > 0 ? load.connections : 100;
    settings.connections = std::min(settings.connections, settings.users);
    settings.arrivals = load.arrivals == "poisson" ? Arrivals::poisson : Arrivals::even;
    settings.warm_up = load.warm_up;
    settings.duration = load.duration;
    settings.keep_alive = !load.no_keep_alive;
    settings.threads = thread_count(site.threads);
    settings.seed = site.seed;
    settings.pids = load.pids;
    return settings;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::vector<std::pair<std::string, std::string>> described(const LoadSettings& settings, const SiteOptions& site,
                                                           const LoadOptions& load) {
    const std::string how =
        settings.rate ? fmt::format("open loop, {} requests a second, {} arrivals", *settings.rate, load.arrivals)
                      : fmt::format("closed loop, {} requests in flight", settings.connections);
    return {{"target", joined(site.targets)},
            {"load", how},
            {"users", std::to_string(settings.users)},
            {"scenario", load.scenario.empty() ? "GET " + settings.scenario.requests.front().path : load.scenario},
            {"login", settings.scenario.login ? settings.scenario.login->path : "none"},
            {"warm-up", config::text_of(settings.warm_up)},
            {"duration", config::text_of(settings.duration)},
            {"connections", settings.keep_alive ? "kept alive" : "a new one for every request"},
            {"protocol", std::string(settings.connection.http2 ? "HTTP/2" : "HTTP/1.1") +
                             (settings.connection.targets.front().secure ? " over TLS" : "")},
            {"threads", std::to_string(settings.threads)},
            {"seed", std::to_string(settings.seed)}};
}

int load_command(const SiteOptions& site, const LoadOptions& load) {
    const LoadSettings settings = load_settings(site, load);
    LoadReport report = run_load(settings, std::cerr);
    report.settings = described(settings, site, load);
    write_text(report, std::cout);
    if (!site.json.empty()) write_json(report, site.json);
    if (!load.report.empty()) write_html(report, load.report);
    return report.total.answered() > 0 ? 0 : 1;
}

// ---- people ---------------------------------------------------------------------------------------------------------

void add_people(CLI::App& command, SiteOptions& site, PeopleOptions& people) {
    site.login = "/login";
    add_site(command, site);
    command.get_option("--login")->capture_default_str();
    command.add_option("--logout", people.logout, "path that a logout is posted to")
        ->type_name("PATH")
        ->check(path_mistake)
        ->capture_default_str();
    command.add_option("--page", people.pages, "page that needs a session (repeatable); {number} is a random number")
        ->type_name("PATH")
        ->check(path_mistake)
        ->allow_extra_args(false)
        ->capture_default_str();
    command.add_option("--part", people.parts, "what pages load in parallel, needs a session (repeatable)")
        ->type_name("PATH")
        ->check(path_mistake)
        ->allow_extra_args(false)
        ->capture_default_str();
    command.add_option("--people", people.people, "browsers with one to three tabs")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--page-views", people.page_views, "of all people together")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command.add_option("--thieves", people.thieves, "share of the people who are stolen from")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--sign-ins", people.sign_ins, "first logins per second: people come one after another")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    add_duration(command, "--grace", people.grace, config::between(10ms, 1h),
                 "the gateway's rotation.grace: all pauses are multiples of it");
}

int people_command(const SiteOptions& site, const PeopleOptions& people) {
    PeopleSettings settings;
    settings.connection = connection(site);
    settings.connection.timeout = std::max(site.timeout, 2 * people.grace);  // late answers are part of the model
    settings.people = people.people;
    settings.thieves = static_cast<std::size_t>(std::ceil(people.thieves * static_cast<double>(people.people)));
    settings.page_views = people.page_views;
    settings.grace = people.grace;
    settings.sign_ins = people.sign_ins;
    settings.login = form_step(site.login, site.form);
    settings.logout = form_step(people.logout, "");
    settings.pages = people.pages;
    settings.parts = people.parts;
    settings.threads = thread_count(site.threads);
    settings.seed = site.seed;
    const PeopleReport report = run_people(settings, std::cerr);
    write_text(report, std::cout);
    if (!site.json.empty()) write_json(report, site.json);
    return report.is_good() ? 0 : 1;
}

}  // namespace

int run_command(int argc, const char* const* argv) {
    CLI::App app("rotagate-bench: load that behaves like people, for sites whose session cookie may change at any time",
                 "rotagate-bench");
    SiteOptions load_site, people_site;
    LoadOptions load;
    PeopleOptions people;
    int exit_code = 0;
    app.require_subcommand(1);
    CLI::App* command = app.add_subcommand("load", "measure rate, latency and CPU time under load");
    add_load(*command, load_site, load);
    command->callback([&] { exit_code = load_command(load_site, load); });
    command = app.add_subcommand("people", "see whether people are logged out by mistake, and thieves noticed");
    add_people(*command, people_site, people);
    command->callback([&] { exit_code = people_command(people_site, people); });
    app.add_subcommand("version", "print the version")->callback([] {
        std::cout << "rotagate-bench " ROTAGATE_VERSION "\n";
    });
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::cerr << "rotagate-bench: " << error.what() << '\n';
        return 1;
    }
    return exit_code;
}

}  // namespace rotagate::bench
