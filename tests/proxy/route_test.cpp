#include "proxy/route.hpp"

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

config::Route route(std::string host, std::string path, std::vector<std::string> methods = {}) {
    config::Route route;
    route.match = {std::move(host), std::move(path), std::move(methods)};
    return route;
}

bool page_load(const std::string& method, const std::string& fields) {
    RequestHead head;
    const std::string text = method + " / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
    REQUIRE_FALSE(http1::parse_request_head(text, head));
    return is_page_load(head);
}

}  // namespace

SCENARIO("the first route that matches wins", "[route]") {
    const std::vector<config::Route> routes{route("", "/static/"), route("api.example.org", "/", {"GET", "POST"}),
                                            route("", "/login"), route("a.example.org", "/")};
    const auto index = [&](std::string_view host, std::string_view path, std::string_view method = "GET") {
        const auto* found = find_route(routes, host, path, method);
        return found == nullptr ? -1 : static_cast<int>(found - routes.data());
    };
    CHECK(index("api.example.org", "/static/x") == 0);
    CHECK(index("api.example.org", "/static") == 1);
    CHECK(index("api.example.org", "/login") == 1);
    CHECK(index("api.example.org", "/login", "HEAD") == 1);
    CHECK(index("api.example.org", "/login", "PUT") == 2);
    CHECK(index("other", "/login") == 2);
    CHECK(index("other", "/login/") == -1);
    CHECK(index("other", "/Login") == -1);
    CHECK(index("a.example.org", "/") == 3);
    CHECK(index("", "/") == -1);
}

SCENARIO("the letter case of percent-encoded bytes chooses no route", "[route]") {
    const std::vector<config::Route> routes{route("", "/caf%C3%A9/"), route("", "/")};
    CHECK(find_route(routes, "", "/caf%c3%a9/x", "GET") == routes.data());
    CHECK(find_route(routes, "", "/CAF%C3%A9/x", "GET") == routes.data() + 1);
}

SCENARIO("only page loads are sent to the login page", "[route]") {
    CHECK(page_load("GET", "Sec-Fetch-Mode: navigate\r\n"));
    CHECK(page_load("HEAD", "Accept: application/xml, Text/HTML;q=0.9\r\n"));
    CHECK_FALSE(page_load("POST", "Sec-Fetch-Mode: navigate\r\n"));
    CHECK_FALSE(page_load("GET", "Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n"));
    CHECK_FALSE(page_load("GET", "Sec-Fetch-Dest: empty\r\nAccept: text/html\r\n"));
    CHECK_FALSE(page_load("GET", "Accept: */*\r\n"));
    for (const char* weight : {"q=0", " q=0.000", "level=1; Q=0.", "q=0.0;x=y"})
        CHECK_FALSE(page_load("GET", std::string("Accept: text/html;") + weight + ", application/json\r\n"));
    CHECK(page_load("GET", "Accept: text/html;q=0.001\r\n"));
    CHECK_FALSE(page_load("GET", "Accept: text/htmlx\r\n"));
    CHECK_FALSE(page_load("GET", ""));
}

SCENARIO("the way back after the login is one query value", "[route]") {
    CHECK(login_location("/login?next={uri}", "/a/b%20c", "?d=e&f=/") ==
          "/login?next=%2Fa%2Fb%2520c%3Fd%3De%26f%3D%2F");
    CHECK(login_location("/login", "/a", "?b") == "/login");
    CHECK(login_location("{uri}{uri}", "/~", "") == "%2F~%2F~");
    CHECK(login_location("/l?n={uri}", "/", "?{uri}\r\n") == "/l?n=%2F%3F%7Buri%7D%0D%0A");
}
