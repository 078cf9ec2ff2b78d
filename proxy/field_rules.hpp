#pragma once

#include <algorithm>
#include <string_view>

#include "config/config.hpp"
#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

/// What holds for fields in both directions.
namespace rotagate::proxy {

/// Fields that concern one connection only (RFC 9110 section 7.6.1).
inline bool is_hop_by_hop(Known known) {
    return known >= Known::connection && known <= Known::proxy_authentication_info;
}

/// Fields that are the gateway's to write, or nobody's to forward: no rule of a route changes them.
inline bool is_ours(Known known) {
    switch (known) {
        case Known::content_length:
        case Known::expect:
        case Known::host:
        case Known::x_user_id:
        case Known::x_user_org:
        case Known::x_session:
        case Known::x_client_cert:
        case Known::forwarded:
        case Known::x_forwarded:
        case Known::x_request_id:
        case Known::misspelt:
            return true;
        default:
            return is_hop_by_hop(known);
    }
}

/// The names in Connection fields, beyond those of the connection itself: fields that may not be passed on.
class ConnectionNames {
public:
    explicit ConnectionNames(const Fields& fields) {
        for (const Field& field : fields) {
            if (field.known != Known::connection) continue;
            grammar::each_item(field.value, ',', [&](std::string_view name) {
                if (!name.empty() && !same_name(name, "keep-alive") && !same_name(name, "close"))
                    names_.push_back(name);
                return true;
            });
        }
    }
    bool contains(std::string_view name) const {
        return std::any_of(names_.begin(), names_.end(), [&](std::string_view n) { return same_name(n, name); });
    }

private:
    boost::container::small_vector<std::string_view, 4> names_;
};

/// Whether a route removes or replaces what came under this name. @param same  tells whether two names are one
template <class Same>
bool is_edited(const config::HeaderEdits& edits, std::string_view name, Same same) {
    return std::any_of(edits.remove.begin(), edits.remove.end(), [&](const auto& n) { return same(n, name); }) ||
           std::any_of(edits.set.begin(), edits.set.end(), [&](const auto& s) { return same(s.first, name); });
}

}  // namespace rotagate::proxy
