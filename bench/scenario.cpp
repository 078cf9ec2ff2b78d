#include "bench/scenario.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "config/http_forms.hpp"
#include "config/reader.hpp"
#include "config/units.hpp"

namespace rotagate::bench {
namespace {

using config::Parsed;
using config::Reader;
using config::Refusal;

constexpr config::FileCures cures{.empty = "write requests: [{ path: /account }]",
                                  .no_map = "a scenario is a map such as requests: [{ path: /account }]"};
constexpr std::uint64_t most_body_bytes = 64 * config::MiB;  // it is held in memory, once

std::string shown(const Step& step) { return step.method + " " + step.path; }

void read_request(Reader& yaml, Step& step) {
    yaml.read("path", step.path, path_form);
    yaml.read("method", step.method, config::method);
    const bool has_form = yaml.read("form", step.form, config::some_text);
    const bool has_body = yaml.read("body", step.body, config::bytes(1, most_body_bytes));
    if (has_form && has_body) yaml.error("body", "there is a form too; keep one");
    if (has_form) step.content_type = "application/x-www-form-urlencoded";
    if (has_body) step.content_type = "application/octet-stream";
    yaml.read("content_type", step.content_type, config::header_value);
    yaml.read("weight", step.weight, config::count(0, 1'000'000));
    if ((has_form || has_body) && (step.method == "GET" || step.method == "HEAD"))
        yaml.error("method", step.method + " has no body; write POST or PUT");
}

std::optional<Step> read_special(Reader& root, std::string_view key) {
    auto yaml = root.map(key);
    if (!yaml) return std::nullopt;
    Step step = form_step("/" + std::string(key), "");
    step.needs_session = false;
    read_request(*yaml, step);
    yaml->reject_unknown();
    step.name = key;
    return step;
}

Step read_step(Reader yaml) {
    Step step;
    if (yaml.has("form") || yaml.has("body")) step.method = "POST";
    read_request(yaml, step);
    step.name = shown(step);
    yaml.read("name", step.name, config::some_text);
    yaml.read("needs_session", step.needs_session);
    yaml.reject_unknown();
    return step;
}

Scenario read_scenario(Reader root) {
    Scenario scenario;
    scenario.login = read_special(root, "login");
    scenario.logout = read_special(root, "logout");
    for (const Reader& step : root.maps("requests")) scenario.requests.push_back(read_step(step));
    root.reject_unknown();
    const bool any = std::any_of(scenario.requests.begin(), scenario.requests.end(),
                                 [](const Step& step) { return step.weight > 0; });
    if (!any) root.error("requests", "no request has a weight; write [{ path: /account }]");
    if (scenario.logout && !scenario.login) root.missing("login", "login: { path: /login, form: \"user={user}\" }");
    return scenario;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

}  // namespace

Parsed<std::string> path_form(std::string_view text) {
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
    if (!text.starts_with('/') || !printable)
        return Refusal{"is not a path; write one that begins with /, percent-encoded"};
    return std::string(text);
}

Step form_step(const std::string& path, const std::string& form) {
    Step step;
    step.method = "POST";
    step.path = path;
    step.form = form;
    step.content_type = "application/x-www-form-urlencoded";
    step.name = shown(step);
    return step;
}

Scenario Scenario::simple(const std::string& path, const std::string& login, const std::string& form) {
    Scenario scenario;
    if (!login.empty()) {
        scenario.login = form_step(login, form);
        scenario.login->name = "login";
        scenario.login->needs_session = false;
    }
    Step step;
    step.path = path;
    step.name = shown(step);
    scenario.requests.push_back(step);
    return scenario;
}

Scenario parse_scenario(const std::string& yaml, const std::filesystem::path& name) {
    config::Report report(name.string());
    Scenario scenario;
    try {
        if (const auto tree = config::parse_tree(yaml, report, cures))
            scenario = read_scenario(Reader(*tree, "", report));
    } catch (const config::Report::Full&) {
        report.warning({}, "and more");
    }
    std::string errors;
    for (const config::Issue& issue : report.errors()) errors += (errors.empty() ? "" : "\n") + issue.text();
    if (!errors.empty()) throw std::runtime_error(errors);
    return scenario;
}

Scenario load_scenario(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf()))
        throw std::runtime_error(file.string() + ": cannot be read: " + std::generic_category().message(errno));
    return parse_scenario(text.str(), file);
}

std::string filled(const std::string& text, const std::string& user, std::uint64_t number) {
    if (text.find('{') == std::string::npos) return text;
    std::string result = text;
    replace_all(result, "{user}", user);
    replace_all(result, "{number}", std::to_string(number % 1'000'000));
    return result;
}

}  // namespace rotagate::bench
