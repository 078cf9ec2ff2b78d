#include "config/load.hpp"

#include <cerrno>
#include <fstream>
#include <system_error>

#include "config/address.hpp"
#include "config/sections.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

/// A socket can serve one purpose only.
void check_admin_address(Reader& root, const Config& config) {
    for (const Listener& listener : config.listen)
        if (config.admin && config.admin->address == listener.address && listener.address.port != 0)
            root.error("admin", "listens on the same address as clients, " + listener.address.text() +
                                    "; write another port or unix:/path");
}

Config read_config(Reader root, const Files& files) {
    Config config;
    config.listen = read_listeners(root, files);
    root.read_list("trusted_proxies", config.trusted_proxies, network);
    if (auto tickets = root.map("tls_tickets")) config.tls_tickets = read_tls_tickets(*tickets, files);
    config.session = read_session(root.map_or_empty("session"), files);
    if (auto upstreams = root.map("upstreams")) config.upstreams = read_upstreams(*upstreams, files);
    config.routes = read_routes(root, config);
    if (auto admin = root.map("admin")) config.admin = read_admin(*admin, files);
    if (auto limits = root.map("limits")) config.limits = read_limits(*limits);
    if (auto log = root.map("log")) config.log = read_log(*log, files);
    root.read("threads", config.threads, count(0, 1024));
    check_admin_address(root, config);
    root.reject_unknown();
    return config;
}

}  // namespace

Admin read_admin(Reader yaml, const Files& files) {
    Admin admin;
    const bool addressed = yaml.require("address", admin.address, admin_address, "address: 127.0.0.1:9901");
    yaml.read("token_file", admin.token_file, files.admin_token());
    if (addressed && !is_local(admin.address) && !yaml.has("token_file"))
        yaml.error("address", "others can reach " + admin.address.text() +
                                  "; write a token_file, or a loopback address or unix:/path");
    yaml.reject_unknown();
    return admin;
}

Limits read_limits(Reader yaml) {
    Limits limits;
    yaml.read("header_bytes", limits.header_bytes, bytes(1 * KiB, 1 * MiB));
    yaml.read("body_bytes", limits.body_bytes, zero_or(bytes(1, KiB * KiB * GiB)));
    yaml.read("header_timeout", limits.header_timeout, between(100ms, 1h));
    yaml.read("idle_timeout", limits.idle_timeout, between(100ms, 24h));
    yaml.read("connections", limits.connections, count(1, 1000000));
    yaml.read("connections_per_client", limits.connections_per_client, count(0, 1000000));
    yaml.read("drain_timeout", limits.drain_timeout, zero_or(between(100ms, 24h)));
    yaml.reject_unknown();
    return limits;
}

Log read_log(Reader yaml, const Files& files) {
    Log log;
    yaml.read("level", log.level,
              one_of<LogLevel>({{"debug", LogLevel::debug},
                                {"info", LogLevel::info},
                                {"warn", LogLevel::warn},
                                {"error", LogLevel::error}}));
    yaml.read("access", log.access, files.log());
    yaml.read("security", log.security, files.log());
    yaml.read("format", log.format, one_of<LogFormat>({{"json", LogFormat::json}, {"text", LogFormat::text}}));
    yaml.reject_unknown();
    return log;
}

Loaded load_text(const std::string& yaml, const std::filesystem::path& name, bool check_files,
                 const Inspectors& inspectors) {
    Report report(name.string());
    Config config;
    std::shared_ptr<const TreeNode> tree;
    try {
        if (auto parsed = parse_tree(yaml, report)) {
            tree = std::make_shared<const TreeNode>(std::move(*parsed));
            config = read_config(Reader(*tree, "", report), {name.parent_path(), check_files, inspectors, name});
        }
    } catch (const Report::Full&) {
        report.warning({}, "more than " + std::to_string(Report::max_errors) + " mistakes; only the first are shown");
    }
    return {std::move(config), report.errors(), report.warnings(), Places(name.string(), tree)};
}

Loaded load_file(const std::filesystem::path& file, const Inspectors& inspectors) {
    std::ifstream in(file, std::ios::binary);
    std::error_code why(in ? 0 : errno, std::generic_category());
    std::error_code ignored;
    if (!in && !why) why = std::make_error_code(std::errc::io_error);
    if (std::filesystem::is_directory(file, ignored)) why = std::make_error_code(std::errc::is_a_directory);
    if (why) {
        Report report(file.string());
        report.error({},
                     "cannot be read (" + why.message() + "); write the name of a configuration file after --config");
        return {{}, report.errors(), {}, Places(file.string())};
    }
    std::string text(max_file_bytes + 1, '\0');  // one more than is allowed, to see that there is more
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return load_text(text, file, true, inspectors);
}

}  // namespace rotagate::config
