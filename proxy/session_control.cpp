#include "proxy/session_control.hpp"

#include <string>

#include "session/session.hpp"

namespace rotagate::proxy {
namespace {

using End = SessionCommand::End;

struct ControlFields {
    std::optional<std::string_view> user, org, permanent, data, end;

    /// Where the value of a field of that name goes; null: no name of ours.
    std::optional<std::string_view>* place(std::string_view name) {
        if (same_name(name, "x-session-user")) return &user;
        if (same_name(name, "x-session-org")) return &org;
        if (same_name(name, "x-session-permanent")) return &permanent;
        if (same_name(name, "x-session-data")) return &data;
        if (same_name(name, "x-session-end")) return &end;
        return nullptr;
    }
};

/// @return none: a field came twice
std::optional<ControlFields> gather(const ResponseHead& head) {
    ControlFields fields;
    for (const Field& field : head.fields) {
        if (field.known != Known::x_session) continue;
        auto* const place = fields.place(field.name);
        if (place == nullptr) continue;
        if (*place) return std::nullopt;
        *place = field.value;
    }
    return fields;
}

std::optional<End> read_end(const ControlFields& fields) {
    const bool emptied = fields.user && fields.user->empty();  // SPEC S15
    if (!fields.end) return emptied ? End::session : End::none;
    if (fields.user && !emptied) return std::nullopt;
    if (same_name(*fields.end, "session")) return End::session;
    if (same_name(*fields.end, "user")) return End::user;
    return std::nullopt;
}

std::optional<bool> read_flag(std::optional<std::string_view> text) {
    if (!text || same_name(*text, "false")) return false;
    if (same_name(*text, "true")) return true;
    return std::nullopt;
}

}  // namespace

std::optional<SessionCommand> session_command(const ResponseHead& head) {
    const auto fields = gather(head);
    if (!fields) return std::nullopt;
    const auto end = read_end(*fields);
    if (!end) return std::nullopt;
    if (fields->data && !session::valid_data(*fields->data)) return std::nullopt;

    SessionCommand command;
    command.data = fields->data;
    command.end = *end;
    if (fields->user && !fields->user->empty()) {  // without it, an organization and a lifetime mean nothing
        const auto permanent = read_flag(fields->permanent);
        if (!permanent) return std::nullopt;
        command.user = fields->user;
        command.org = fields->org.value_or("");
        command.permanent = *permanent;
        const session::User user{std::string(*command.user), std::string(command.org)};
        if (!user.valid()) return std::nullopt;
    }
    return command;
}

}  // namespace rotagate::proxy
