#include "proxy/admin_query.hpp"

#include <algorithm>
#include <charconv>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "proxy/headers.hpp"

namespace rotagate::proxy {

AdminTarget AdminTarget::parse(std::string_view target) {
    const auto url = boost::urls::parse_origin_form(target);
    if (!url) throw AdminUsage{"the request's target is not a path with percent-encoded parameters"};
    AdminTarget parsed;
    parsed.path = url->path();
    const boost::urls::encoding_opts plus_is_plus{false};
    for (const auto& parameter : url->params(plus_is_plus)) {
        const auto [at, added] = parsed.parameters.emplace(parameter.key, parameter.value);
        if (!added) throw AdminUsage{header_encoded(at->first) + " is given twice"};
    }
    return parsed;
}

void AdminTarget::allow_only(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : parameters) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        std::string message = "unknown parameter '" + header_encoded(name) + "'; there ";
        message += names.size() == 0 ? "are none" : names.size() == 1 ? "is " : "are ";
        for (const std::string_view* known = names.begin(); known != names.end(); ++known) {
            if (known != names.begin()) message += ", ";
            message += *known;
        }
        throw AdminUsage{message};
    }
}

std::optional<std::string> AdminTarget::find(std::string_view name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::nullopt : std::optional{found->second};
}

session::Selection AdminTarget::selection() const {
    session::Selection selection{.user = find("user"), .org = find("org")};
    if (!session::User{.id = selection.user.value_or("any"), .org = selection.org.value_or("any")}.valid() ||
        selection.org == "") {
        throw AdminUsage{"user and org are 1 to 256 bytes of UTF-8 without control characters"};
    }
    return selection;
}

std::size_t AdminTarget::limit() const {
    const std::string text = find("limit").value_or("100");
    std::size_t limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > 1000) {
        throw AdminUsage{"limit is a number from 1 to 1000"};
    }
    return limit;
}

}  // namespace rotagate::proxy
