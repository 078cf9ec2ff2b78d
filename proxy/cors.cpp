#include "proxy/cors.hpp"

#include <algorithm>
#include <optional>

#include "proxy/route.hpp"

namespace rotagate::proxy {
namespace {

/// By which some apps take a request for one of another method. No browser sends them ahead of a request.
constexpr std::string_view method_overrides[] = {"x-http-method-override", "x-http-method", "x-method-override"};

bool overrides_method(const Field& field) {
    return std::ranges::any_of(method_overrides,
                               [&](std::string_view name) { return same_folded_name(field.name, name); });
}

/// The value of the one field of that name; none: there is none, or there are several.
std::optional<std::string_view> only(const Fields& fields, std::string_view name) {
    std::optional<std::string_view> value;
    for (const Field& field : fields) {
        if (!same_name(field.name, name)) continue;
        if (value) return std::nullopt;
        value = field.value;
    }
    return value;
}

/// The origin that the request comes from, where it is listed.
const std::string* listed_origin(const config::Cors& cors, const RequestHead& head) {
    const auto origin = only(head.fields, "origin");
    if (!origin) return nullptr;
    const auto found = std::ranges::find(cors.origins, *origin);
    return found == cors.origins.end() ? nullptr : &*found;
}

}  // namespace

const config::Route* preflight_route(const std::vector<config::Route>& routes, const RequestHead& head,
                                     std::string_view host, std::string_view path) {
    if (head.method != "OPTIONS" || head.framing != Framing::none) return nullptr;
    const auto method = only(head.fields, "access-control-request-method");
    if (!method || std::ranges::any_of(head.fields, overrides_method)) return nullptr;
    const config::Route* route = find_route(routes, host, path, *method);
    return route && route->cors && listed_origin(*route->cors, head) ? route : nullptr;
}

void add_cors_fields(const config::Cors& cors, const RequestHead& head, Fields& out) {
    const std::string* origin = listed_origin(cors, head);
    if (!origin) return;
    out.push_back({"Access-Control-Allow-Origin", *origin});
    if (cors.credentials) out.push_back({"Access-Control-Allow-Credentials", "true"});
    out.push_back({"Vary", "Origin"});
}

}  // namespace rotagate::proxy
