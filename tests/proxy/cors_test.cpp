#include "proxy/cors.hpp"

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

const std::string app = "https://app.example.org";

/// GET and POST of /api/ for the app, with credentials; all else without cors.
std::vector<config::Route> routes() {
    std::vector<config::Route> all(2);
    all[0].match = {"", "/api/", {"GET", "POST"}};
    all[0].cors = config::Cors{{app, "http://localhost:3000"}, true};
    all[1].match = {"", "/", {}};
    return all;
}

RequestHead request(std::string_view method, const Fields& fields) {
    RequestHead head;
    head.method = method;
    head.fields = fields;
    return head;
}

Fields preflight(std::string_view origin, std::string_view method) {
    return {{"Origin", origin}, {"Access-Control-Request-Method", method}};
}

bool is_preflight(const RequestHead& head, std::string_view path = "/api/x") {
    static const auto all = routes();
    const config::Route* route = preflight_route(all, head, "example.org", path);
    CHECK((route == nullptr || route == all.data()));
    return route != nullptr;
}

std::string told_browser(const config::Cors& cors, const Fields& fields) {
    Fields out;
    add_cors_fields(cors, request("GET", fields), out);
    std::string text;
    for (const Field& field : out) text.append(field.name).append("=").append(field.value).append(" ");
    return text;
}

}  // namespace

SCENARIO("a preflight is about the route of the method that it asks about", "[cors]") {
    CHECK(is_preflight(request("OPTIONS", preflight(app, "POST"))));
    CHECK(is_preflight(request("OPTIONS", preflight("http://localhost:3000", "HEAD"))));
    CHECK_FALSE(is_preflight(request("OPTIONS", preflight(app, "DELETE"))));
    CHECK_FALSE(is_preflight(request("OPTIONS", preflight(app, "POST")), "/other"));
    CHECK_FALSE(is_preflight(request("OPTIONS", preflight("https://evil.example", "POST"))));
    CHECK_FALSE(is_preflight(request("POST", preflight(app, "POST"))));
}

SCENARIO("what a browser would not send as a preflight is none", "[cors]") {
    const auto with = [](const Field& field) {
        Fields fields = preflight(app, "POST");
        fields.push_back(field);
        return request("OPTIONS", fields);
    };
    CHECK(is_preflight(with({"Accept", "*/*"})));
    CHECK_FALSE(is_preflight(with({"Origin", app})));
    CHECK_FALSE(is_preflight(with({"access-control-request-method", "POST"})));
    for (const char* name : {"X-HTTP-Method-Override", "x_http_method_override", "X-HTTP-Method", "X-Method-Override"})
        CHECK_FALSE(is_preflight(with({name, "DELETE"})));
    RequestHead with_body = request("OPTIONS", preflight(app, "POST"));
    with_body.framing = Framing::chunked;
    CHECK_FALSE(is_preflight(with_body));
}

SCENARIO("pages of listed origins may read the gateway's answers, and no others", "[cors]") {
    const config::Cors cors{{app, "http://localhost:3000"}, false}, with_credentials{{app}, true};
    CHECK(told_browser(cors, {{"Origin", app}}) == "Access-Control-Allow-Origin=" + app + " Vary=Origin ");
    CHECK(told_browser(with_credentials, {{"origin", app}}) ==
          "Access-Control-Allow-Origin=" + app + " Access-Control-Allow-Credentials=true Vary=Origin ");
    CHECK(told_browser(cors, {}).empty());
    for (const std::string& other :
         {std::string("null"), std::string("*"), std::string(), app + "/", app + ".evil.example", app + ":443",
          std::string("http://app.example.org"), std::string("https://APP.example.org")})
        CHECK(told_browser(cors, {{"Origin", other}}).empty());
    CHECK(told_browser(cors, {{"Origin", app}, {"Origin", app}}).empty());
}
