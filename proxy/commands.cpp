#include "proxy/commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <optional>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/load.hpp"
#include "proxy/access_log.hpp"
#include "proxy/admin_client.hpp"
#include "proxy/admin_gate.hpp"
#include "proxy/server.hpp"
#include "session/keys.hpp"

namespace rotagate::proxy {
namespace {

namespace http = boost::beast::http;

/// Loads a configuration and prints what is wrong with it. None: it cannot be used.
std::optional<config::Config> load(const std::string& file) {
    config::Loaded loaded = config::load_file(file);
    for (const config::Issue& error : loaded.errors) std::cerr << error.text() << '\n';
    for (const config::Issue& warning : loaded.warnings) std::cerr << warning.text() << " (warning)\n";
    if (!loaded.ok()) return std::nullopt;
    return std::move(loaded.config);
}

int run(const std::string& file) {
    auto settings = load(file);
    if (!settings) return 1;
    setup_process_log(settings->log);
    Server(std::move(*settings)).run();
    return 0;
}

int check(const std::string& file) {
    const auto settings = load(file);
    if (!settings) return 1;
    std::cout << fmt::format("{}: ok: {} listeners, {} upstreams, {} routes\n", file, settings->listen.size(),
                             settings->upstreams.size(), settings->routes.size());
    return 0;
}

int keygen(const std::string& file) {
    const std::string text = session::CookieKey::generate().file_text();
    if (file.empty()) {
        std::cout << text;
        return 0;
    }
    // O_EXCL: a key that is replaced by accident signs everybody out.
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST)
        throw std::runtime_error(file + ": is there already, and is left as it is; remove it first, or name another file");
    if (descriptor < 0) throw std::runtime_error(file + ": " + std::generic_category().message(errno));
    const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (::close(descriptor) != 0 || !written) throw std::runtime_error(file + ": cannot be written");
    std::cout << file << ": a new cookie key; name it in session.cookie.key_files\n";
    return 0;
}

/// Where the commands find the gateway.
struct AdminOptions {
    std::string address, config_file, token_file;

    AdminClient client() const {
        config::Address where{.host = "127.0.0.1", .port = 9901, .unix_path = {}};
        std::filesystem::path token = token_file;
        if (!config_file.empty()) {
            const config::Loaded loaded = config::load_file(config_file);
            if (!loaded.ok()) throw std::runtime_error(loaded.errors.front().text());
            if (!loaded.config.admin) throw std::runtime_error(config_file + ": has no `admin:`, so there is no admin address");
            where = loaded.config.admin->address;
            if (token.empty()) token = loaded.config.admin->token_file;
        }
        if (!address.empty()) where = parse(address);
        return {where, token.empty() ? std::string() : read_admin_token(token)};
    }

private:
    static config::Address parse(const std::string& text) {
        if (text.starts_with("unix:")) return {.host = {}, .port = 0, .unix_path = text.substr(5)};
        const auto colon = text.rfind(':');
        const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
        if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
            throw std::runtime_error("--admin: '" + text + "' is not an address; write 127.0.0.1:9901 or unix:/PATH");
        std::string host = text.substr(0, colon);
        if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
        return {.host = host, .port = static_cast<std::uint16_t>(std::stoul(port)), .unix_path = {}};
    }
};

struct SelectOptions {
    std::string user, org, id;
    bool all = false, json = false;

    std::string query() const {
        std::string text;
        if (!user.empty()) text += "&user=" + query_value(user);
        if (!org.empty()) text += "&org=" + query_value(org);
        if (all) text += "&all=true";
        return text.empty() ? text : '?' + text.substr(1);
    }
};

void print_session(const boost::json::object& session) {
    const auto text = [&](const char* name) { return std::string(session.at(name).as_string()); };
    const std::string user = text("org").empty() ? text("user") : text("org") + '/' + text("user");
    std::cout << fmt::format("{:<24} {:<24} {:<24} {:<24} {:<16} {}\n", user, text("created"), text("last_seen"),
                             text("expires"), text("client"), text("id"));
}

int list_sessions(const AdminOptions& admin, const SelectOptions& chosen) {
    const AdminClient client = admin.client();
    if (!chosen.json)
        std::cout << fmt::format("{:<24} {:<24} {:<24} {:<24} {:<16} {}\n", "USER", "CREATED", "LAST SEEN", "EXPIRES",
                                 "CLIENT", "ID");
    std::string cursor;
    do {
        const auto page = client.ask(http::verb::get, "/v1/sessions" + chosen.query() +
                                                          (cursor.empty() ? "" : "&cursor=" + query_value(cursor)));
        for (const auto& session : page.at("sessions").as_array()) {
            if (chosen.json) {
                std::cout << boost::json::serialize(session) << '\n';
            } else {
                print_session(session.as_object());
            }
        }
        cursor = page.at("cursor").is_string() ? std::string(page.at("cursor").as_string()) : std::string();
    } while (!cursor.empty());
    return 0;
}

int revoke(const AdminOptions& admin, const SelectOptions& chosen) {
    const std::string target = chosen.id.empty() ? "/v1/sessions" + chosen.query() : "/v1/sessions/" + query_value(chosen.id);
    const auto answer = admin.client().ask(http::verb::delete_, target);
    std::cout << fmt::format("revoked {} sessions\n", answer.at("revoked").to_number<std::uint64_t>());
    return 0;
}

int count_users(const AdminOptions& admin, const SelectOptions& chosen) {
    const auto answer = admin.client().ask(http::verb::get, "/v1/users/count" + chosen.query());
    std::cout << answer.at("users").to_number<std::uint64_t>() << '\n';
    return 0;
}

void add_admin_options(CLI::App& command, AdminOptions& options) {
    command.add_option("--admin", options.address, "the gateway's admin address (default: 127.0.0.1:9901)");
    command.add_option("--config", options.config_file, "take the admin address and token from this configuration");
    command.add_option("--token-file", options.token_file, "file with the admin token");
}

}  // namespace

int run_command(int argc, char** argv) {
    CLI::App app{"rotagate: a reverse proxy that owns the login session"};
    app.require_subcommand(1);
    std::string file, out;
    AdminOptions admin;
    SelectOptions chosen;

    auto* run_it = app.add_subcommand("run", "run in the foreground; SIGTERM drains");
    run_it->add_option("--config", file, "rotagate.yaml")->required();
    auto* check_it = app.add_subcommand("check", "check a configuration; every mistake as FILE:LINE:COLUMN: message");
    check_it->add_option("--config", file, "rotagate.yaml")->required();
    auto* keygen_it = app.add_subcommand("keygen", "make a cookie key");
    keygen_it->add_option("--out", out, "the file to write, mode 0600; without it the key is printed");
    auto* sessions = app.add_subcommand("sessions", "list or revoke sessions, over the admin address");
    sessions->require_subcommand(1);
    auto* list_it = sessions->add_subcommand("list", "list the sessions of a user or an organization");
    auto* revoke_it = sessions->add_subcommand("revoke", "end sessions at once");
    auto* users = app.add_subcommand("users", "count users, over the admin address");
    users->require_subcommand(1);
    auto* count_it = users->add_subcommand("count", "count the distinct users that have a session");
    auto* version_it = app.add_subcommand("version", "print the version");

    for (CLI::App* command : {list_it, revoke_it}) {
        command->add_option("--user", chosen.user, "a user id");
        command->add_option("--org", chosen.org, "an organization; with --user, that user of it");
    }
    list_it->add_flag("--json", chosen.json, "one JSON object a line");
    revoke_it->add_option("--id", chosen.id, "a session, as `sessions list` names it");
    revoke_it->add_flag("--all", chosen.all, "every session there is");
    count_it->add_option("--org", chosen.org, "only of this organization");
    for (CLI::App* command : {list_it, revoke_it, count_it}) add_admin_options(*command, admin);

    if (argc == 1) {
        std::cout << app.help();
        return 2;
    }
    try {
        app.parse(argc, argv);
        if (list_it->parsed() && chosen.query().empty()) throw CLI::ValidationError("give --user or --org");
        if (revoke_it->parsed() && chosen.query().empty() == chosen.id.empty())
            throw CLI::ValidationError("give one of --user, --org, --id and --all");
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        if (run_it->parsed()) return run(file);
        if (check_it->parsed()) return check(file);
        if (keygen_it->parsed()) return keygen(out);
        if (list_it->parsed()) return list_sessions(admin, chosen);
        if (revoke_it->parsed()) return revoke(admin, chosen);
        if (count_it->parsed()) return count_users(admin, chosen);
        if (version_it->parsed()) std::cout << "rotagate " ROTAGATE_VERSION "\n";
    } catch (const std::exception& error) {
        std::cerr << "rotagate: " << error.what() << '\n';
        return 1;
    }
    return 0;
}

}  // namespace rotagate::proxy
