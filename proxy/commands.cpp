#include "proxy/commands.hpp"

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "config/load.hpp"
#include "proxy/access_log.hpp"
#include "proxy/admin_commands.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/inspect.hpp"
#include "proxy/server.hpp"
#include "proxy/tls_tickets.hpp"
#include "session/keys.hpp"

namespace rotagate::proxy {

namespace {

/// Loads a configuration and prints what is wrong with it. None: it cannot be used.
std::optional<config::Config> load(const std::string& file) {
    config::Loaded loaded = config::load_file(file, file_inspectors());
    for (const config::Issue& error : loaded.errors) std::cerr << error.text() << '\n';
    for (const config::Issue& warning : loaded.warnings) std::cerr << warning.text() << " (warning)\n";
    if (!loaded.ok()) return std::nullopt;
    return std::move(loaded.config);
}

int run(const std::string& file) {
    auto config = load(file);
    if (!config) return 1;
    raise_descriptor_limit();  // each client takes one, and one more while an app works for it
    setup_process_log(config->log);
    Server{std::move(*config), [file] { return config::load_file(file, file_inspectors()); }}.run();
    return 0;
}

std::string counted(std::size_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

int check(const std::string& file) {
    const auto config = load(file);
    if (!config) return 1;
    std::cout << fmt::format("{}: ok\n{}, {}, {}, sessions in {}, {}\n", file,
                             counted(config->listen.size(), "listener"), counted(config->upstreams.size(), "upstream"),
                             counted(config->routes.size(), "route"), config->session.store,
                             config->admin ? "admin address " + config->admin->address.text() : "no admin address");
    return 0;
}

void write_new_file(const std::string& file, const std::string& text) {
    const auto fail = [&](int error) {
        throw std::runtime_error(file + ": " + std::generic_category().message(error));
    };
    // O_EXCL: a key that is overwritten by accident signs everybody out.
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST) {
        throw std::runtime_error(file +
                                 ": is there already, and is left as it is; name another file, or remove it first");
    }
    if (descriptor < 0) fail(errno);
    const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = written ? 0 : errno;
    if (::close(descriptor) == 0 && written) return;
    ::unlink(file.c_str());
    fail(error);
}

void ticket_keygen(const std::string& file) {
    std::string bytes = tls::TicketKey::generate().file_bytes();
    write_new_file(file, bytes);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    std::cout << file << ": a new key for session tickets; name it in tls_tickets.key_files\n";
}

void keygen(const std::string& file) {
    const std::string text = session::CookieKey::generate().file_text();
    if (file.empty()) {
        std::cout << text;
        return;
    }
    write_new_file(file, text);
    std::cout << file << ": a new cookie key; name it in session.cookie.key_files\n";
}

/// The command line and what it says. A subcommand runs as soon as all of the line is understood.
struct CommandLine {
    CLI::App app{"rotagate: a reverse proxy that owns the login session", "rotagate"};
    std::string config_file, key_file;
    AdminAccess access;
    SessionChoice choice;
    bool json = false, for_tickets = false;
    int exit_code = 0;

    CommandLine();
    void add_sessions();
    void add_users();
    void add_access(CLI::App& command);
};

/// An empty value is a shell variable that was not set: without it the command would mean more than it says.
const CLI::Validator not_empty{[](const std::string& value) { return value.empty() ? "must not be empty" : ""; }, ""};

CommandLine::CommandLine() {
    app.require_subcommand(1);
    CLI::App* command =
        app.add_subcommand("run",
                           "run in the foreground; SIGTERM lets requests in flight finish, SIGHUP reads the "
                           "configuration again");
    command->add_option("--config", config_file, "the configuration")->required()->type_name("FILE");
    command->callback([this] { exit_code = run(config_file); });

    command = app.add_subcommand("check", "check a configuration; tell every mistake as FILE:LINE:COLUMN: message");
    command->add_option("--config", config_file, "the configuration")->required()->type_name("FILE");
    command->callback([this] { exit_code = check(config_file); });

    command = app.add_subcommand("keygen", "make a key for sealing cookies, or TLS session tickets");
    CLI::Option* const out =
        command->add_option("--out", key_file, "a new file for it, mode 0600; without it the key is printed");
    out->check(not_empty)->type_name("FILE");
    command->add_flag("--ticket", for_tickets, "make a key for TLS session tickets: 80 bytes")->needs(out);
    command->callback([this] { for_tickets ? ticket_keygen(key_file) : keygen(key_file); });

    add_sessions();
    add_users();
    app.add_subcommand("version", "print the version")->callback([] {
        std::cout << "rotagate " ROTAGATE_VERSION "\n";
    });
}

void CommandLine::add_sessions() {
    CLI::App* sessions = app.add_subcommand("sessions", "list or end sessions, over the admin address");
    sessions->require_subcommand(1);
    CLI::App* list = sessions->add_subcommand("list", "list the sessions of a user, or of an organization");
    CLI::App* revoke = sessions->add_subcommand("revoke", "end sessions, at once and everywhere");
    for (CLI::App* command : {list, revoke}) {
        command->add_option("--user", choice.user, "a user id; without --org in all organizations and outside them")
            ->check(not_empty);
        command->add_option("--org", choice.org, "an organization: all of its users, or with --user that one")
            ->check(not_empty);
        add_access(*command);
    }
    list->add_flag("--json", json, "print a JSON object a line in place of a table");
    list->callback([this] {
        if (choice.user.empty() && choice.org.empty()) throw CLI::RequiredError("--user or --org");
        list_sessions(access, choice, json);
    });
    revoke->add_option("--id", choice.id, "one session, by the ID that `sessions list` shows")
        ->check(not_empty)
        ->excludes("--user", "--org");
    revoke->add_flag("--all", choice.all, "all sessions of all users")->excludes("--user", "--org", "--id");
    revoke->callback([this] {
        if (choice.target() == SessionChoice{}.target()) throw CLI::RequiredError("--user, --org, --id or --all");
        revoke_sessions(access, choice);
    });
}

void CommandLine::add_users() {
    CLI::App* users = app.add_subcommand("users", "count users, over the admin address");
    users->require_subcommand(1);
    CLI::App* count = users->add_subcommand("count", "count the distinct users that have a session");
    count->add_option("--org", choice.org, "only those of this organization")->check(not_empty);
    add_access(*count);
    count->callback([this] { count_users(access, choice.org); });
}

void CommandLine::add_access(CLI::App& command) {
    command.add_option("--admin", access.address, "the gateway's admin address (default: 127.0.0.1:9901)")
        ->type_name("HOST:PORT|unix:PATH");
    command.add_option("--config", access.config_file, "take admin address and token from this configuration")
        ->type_name("FILE");
    command.add_option("--token-file", access.token_file, "the file with the admin address's token")->type_name("FILE");
}

/// What is wrong with the line, and where help is: of a command that is none, CLI11 itself only says that one is
/// missing.
std::string mistake(const CLI::App* app, const CLI::Error& error) {
    const CLI::App* deepest = app;
    while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().back();
    const auto commands = deepest->get_subcommands(nullptr);
    const auto unknown = deepest->remaining();
    if (commands.empty() || unknown.empty()) return CLI::FailureMessage::simple(app, error);
    std::vector<std::string> names;
    names.reserve(commands.size());
    for (const CLI::App* command : commands) names.push_back(command->get_name());
    return fmt::format("\"{}\" is no command of {}; write one of: {}\nRun with --help for more information.\n",
                       unknown.front(), deepest->get_name(), fmt::join(names, ", "));
}

}  // namespace

int run_command(int argc, const char* const* argv) {
    CommandLine line;
    line.app.failure_message(mistake);
    if (argc <= 1) {
        std::cout << line.app.help();
        return 2;
    }
    try {
        line.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return line.app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::cerr << "rotagate: " << error.what() << '\n';
        return 1;
    }
    return line.exit_code;
}

}  // namespace rotagate::proxy
