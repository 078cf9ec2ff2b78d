#include "proxy/caching.hpp"
#include "proxy/cookies.hpp"
#include "proxy/field_rules.hpp"
#include "proxy/headers.hpp"
#include "proxy/rewrite.hpp"

namespace rotagate::proxy {
namespace {

/// The fields of one answer on their way to the client.
class ClientFields {
public:
    ClientFields(const ResponseHead& head, const ResponseRules& rules, Arena& arena, Fields& out)
        : head_(head), rules_(rules), arena_(arena), out_(out) {}

    void add_all() {
        const ConnectionNames connection(head_.fields);
        for (const Field& field : head_.fields) {
            const bool edited = may_edit(field) && is_edited(edits(), field.name, same_name);
            if (!edited && !connection.contains(field.name)) add(field);
        }
        for (const auto& [name, value] : edits().set) {
            const Field field{name, value, classify(name)};
            if (!may_edit(field)) continue;
            if (field.known == Known::cache_control && rules_.session_route) {
                cache_control_.add(value);
            } else if (passes(field.known) && !(field.known == Known::shared_cache && rules_.session_route)) {
                out_.push_back(field);
            }
        }
        if (rules_.session_route)
            add_changed({"Cache-Control", {}, Known::cache_control}, std::move(cache_control_).value());
        if (rules_.set_cookie) out_.push_back({"Set-Cookie", *rules_.set_cookie, Known::set_cookie});
    }

private:
    const config::HeaderEdits& edits() const { return rules_.route.response_headers; }

    /// Where apps and operators may speak it to clients.
    static bool passes(Known known) { return known == Known::x_request_id || !is_ours(known); }
    /// What a route sets for its app's pages would have caches keep a failure, and the way to the login, as long.
    bool may_edit(const Field& field) const { return !rules_.ours || !describes_content(field); }
    static bool describes_content(const Field& field) {
        constexpr std::string_view others[] = {
            "content-type", "content-encoding", "content-language", "content-disposition", "expires", "pragma",
            "etag",         "last-modified"};
        return field.known == Known::cache_control || field.known == Known::shared_cache ||
               field.known == Known::location ||
               std::ranges::any_of(others, [&](std::string_view name) { return same_name(field.name, name); });
    }

    void add(const Field& field) {
        switch (field.known) {
            case Known::content_length:
                add_length(field);
                break;
            case Known::set_cookie:
                add_cookie(field);
                break;
            case Known::location:
            case Known::content_location:
                add_changed(field, rewritten_location(field.value, places()));
                break;
            case Known::refresh:
                add_changed(field, rewritten_refresh(field.value, places()));
                break;
            case Known::clear_site_data:
                add_clear_site_data(field);
                break;
            case Known::cache_control:
                if (rules_.session_route) {
                    cache_control_.add(field.value);
                } else {
                    out_.push_back(field);
                }
                break;
            case Known::shared_cache:
                if (!rules_.session_route) out_.push_back(field);
                break;
            default:
                if (passes(field.known)) out_.push_back(field);
        }
    }

    void add_changed(Field field, const std::optional<std::string>& changed) {
        if (changed) field.value = arena_.keep(*changed);
        out_.push_back(field);
    }

    /// Where there is no body but the field tells how long it would be (RFC 9110 section 8.6).
    void add_length(const Field& field) {
        if (head_.status < 200 || head_.status == 204) return;
        if (rules_.request.method != "HEAD" && head_.status != 304) return;
        Field length = field;
        length.value = arena_.keep(std::to_string(head_.content_length));  // some apps write it with zeros ahead
        out_.push_back(length);
    }

    void add_cookie(const Field& field) {
        if (sets_cookie(field.value, rules_.cookie_name)) return;
        add_changed(field, rewritten_cookie_path(field.value, rules_.route.strip_prefix));
    }

    /// Cookies are not the app's alone to clear: the session cookie is among them, and no app may end a session this
    /// way.
    void add_clear_site_data(const Field& field) {
        std::string kept;
        grammar::each_item(field.value, ',', [&](std::string_view type) {
            if (type.empty() || same_name(type, "\"cookies\"") || type == "\"*\"") return true;
            kept.append(kept.empty() ? "" : ", ").append(type);
            return true;
        });
        if (!kept.empty()) add_changed(field, kept);
    }

    Places places() const {
        // The app may name itself as it was addressed; other authorities of the client's are places of their own.
        const bool by_server = rules_.route.host == config::HostHeader::upstream;
        const bool rewrites = by_server || !rules_.route.strip_prefix.empty();
        return {.strip_prefix = rules_.route.strip_prefix,
                .client_scheme = rules_.origin.scheme,
                .client_authority = rules_.origin.authority,
                .origins = rewrites ? Origins{rules_.server_host, rules_.request.authority, rules_.origin.authority}
                                    : Origins{}};
    }

    const ResponseHead& head_;
    const ResponseRules& rules_;
    Arena& arena_;
    Fields& out_;
    UnsharedCacheControl cache_control_;
};

}  // namespace

void client_response_fields(const ResponseHead& head, const ResponseRules& rules, Arena& arena, Fields& out) {
    ClientFields(head, rules, arena, out).add_all();
}

void client_trailer_fields(std::span<const Field> trailers, const config::Route& route, Fields& out) {
    for (const Field& field : trailers)
        if (field.known == Known::other && !is_edited(route.response_headers, field.name, same_name))
            out.push_back(field);
}

}  // namespace rotagate::proxy
