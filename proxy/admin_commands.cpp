#include "proxy/admin_commands.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/address.hpp"
#include "config/load.hpp"
#include "proxy/admin_gate.hpp"

namespace rotagate::proxy {

namespace http = boost::beast::http;
namespace json = boost::json;

namespace {

constexpr std::size_t page_size = 1000;

config::Admin read_admin_settings(const std::string& file) {
    std::ifstream in{file};
    if (!in) throw std::runtime_error(file + ": cannot be read");
    const std::string yaml{std::istreambuf_iterator<char>{in}, {}};
    // Whoever may use the admin address need not be able to read the gateway's keys.
    config::Loaded loaded = config::load_text(yaml, file, false);
    if (!loaded.ok()) throw std::runtime_error(loaded.errors.front().text());
    if (!loaded.config.admin) throw std::runtime_error(file + ": has no `admin:`, so there is no admin address");
    return *loaded.config.admin;
}

config::Address parse_address(const std::string& text) {
    const auto parsed = config::server_address(text);
    if (const auto* address = std::get_if<config::Address>(&parsed)) return *address;
    throw std::runtime_error("--admin: '" + text + "' " + std::get<config::Refusal>(parsed).why);
}

using Row = std::array<std::string, 8>;

Row row_of(const json::object& session) {
    const auto text = [&](const char* name) { return std::string{session.at(name).as_string()}; };
    return {text("user"),      text("org"),     text("created"),
            text("last_seen"), text("expires"), session.at("permanent").as_bool() ? "yes" : "no",
            text("client"),    text("id")};
}

/// Characters of UTF-8 text.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

void print_table(const std::vector<Row>& rows) {
    std::array<std::size_t, std::tuple_size_v<Row>> widths{};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    for (const Row& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i) {
            std::cout << row[i] << std::string(widths[i] - width(row[i]) + 2, ' ');
        }
        std::cout << row.back() << '\n';
    }
}

}  // namespace

AdminClient AdminAccess::client() const {
    config::Admin admin{.address = {.host = "127.0.0.1", .port = 9901, .unix_path = {}}, .token_file = token_file};
    if (!config_file.empty()) {
        const config::Admin configured = read_admin_settings(config_file);
        admin.address = configured.address;
        if (token_file.empty()) admin.token_file = configured.token_file;
    }
    if (!address.empty()) admin.address = parse_address(address);
    return {admin.address, admin.token_file.empty() ? std::string{} : read_admin_token(admin.token_file)};
}

std::string SessionChoice::target() const {
    const std::string sessions = "/v1/sessions";
    if (!id.empty()) return sessions + '/' + query_value(id);
    std::string query;
    if (!user.empty()) query += "&user=" + query_value(user);
    if (!org.empty()) query += "&org=" + query_value(org);
    if (all) query += "&all=true";
    return query.empty() ? sessions : sessions + '?' + query.substr(1);
}

void list_sessions(const AdminAccess& access, const SessionChoice& choice, bool as_json) {
    const AdminClient client = access.client();
    std::vector<Row> rows{{"USER", "ORG", "CREATED", "LAST SEEN", "EXPIRES", "PERMANENT", "CLIENT", "ID"}};
    std::string cursor;
    do {
        const std::string from = cursor.empty() ? "" : "&cursor=" + query_value(cursor);
        const auto page = client.ask(http::verb::get, choice.target() + fmt::format("&limit={}", page_size) + from);
        for (const json::value& session : page.at("sessions").as_array()) {
            if (as_json) {
                std::cout << json::serialize(session) << '\n';
            } else {
                rows.push_back(row_of(session.as_object()));
            }
        }
        cursor = page.at("cursor").as_string();
    } while (!cursor.empty());
    if (!as_json) print_table(rows);
}

void revoke_sessions(const AdminAccess& access, const SessionChoice& choice) {
    const auto answer = access.client().ask(http::verb::delete_, choice.target());
    const auto revoked = answer.at("revoked").to_number<std::uint64_t>();
    std::cout << fmt::format("revoked {} session{}\n", revoked, revoked == 1 ? "" : "s");
}

void count_users(const AdminAccess& access, const std::string& org) {
    const std::string query = org.empty() ? "" : "?org=" + query_value(org);
    const auto answer = access.client().ask(http::verb::get, "/v1/users/count" + query);
    std::cout << answer.at("users").to_number<std::uint64_t>() << '\n';
}

}  // namespace rotagate::proxy
