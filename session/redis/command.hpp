#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

/// Commands in Redis' protocol (RESP): arrays of binary-safe strings, so that no text of a user's can become another
/// command.
namespace rotagate::session::redis {

void append_command(std::string& out, std::initializer_list<std::string_view> parts);
std::string command(std::initializer_list<std::string_view> parts);

/// The pieces of a command: first "*" and how many strings follow, then each of them.
void append_number(std::string& out, char type, std::size_t number);
void append_text(std::string& out, std::string_view text);

}  // namespace rotagate::session::redis
