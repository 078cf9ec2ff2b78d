#pragma once

#include <optional>
#include <string_view>

#include "proxy/message.hpp"

namespace rotagate::proxy {

/// What an app's X-Session-* fields ask for (SPEC section 3).
struct SessionCommand {
    enum class End { none, session, user };
    std::optional<std::string_view> user;  ///< not empty: start a session
    std::string_view org;
    bool permanent = false;
    std::optional<std::string_view> data;
    End end = End::none;

    bool any() const { return user || data || end != End::none; }
};
/// @return none where the fields contradict each other (a start and an end), come twice, or have no valid form: answer
///         502. An organization or a lifetime without a user is nothing.
std::optional<SessionCommand> session_command(const ResponseHead& head);

}  // namespace rotagate::proxy
