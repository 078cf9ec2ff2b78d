#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rotagate::session::redis {

/// Appends one command in Redis' protocol (RESP): an array of binary-safe strings, so that no text of a user's can
/// become another command.
void append_command(std::string& out, std::span<const std::string_view> parts);
inline void append_command(std::string& out, std::initializer_list<std::string_view> parts) {
    append_command(out, std::span(parts.begin(), parts.size()));
}
std::string command(std::initializer_list<std::string_view> parts);

}  // namespace rotagate::session::redis
