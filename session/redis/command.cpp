#include "session/redis/command.hpp"

#include <charconv>

namespace rotagate::session::redis {

void append_number(std::string& out, char type, std::size_t number) {
    char text[24];
    text[0] = type;
    char* end = std::to_chars(text + 1, text + sizeof text - 2, number).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out.append(text, static_cast<std::size_t>(end - text));
}

void append_text(std::string& out, std::string_view text) {
    append_number(out, '$', text.size());
    out.append(text).append("\r\n");
}

void append_command(std::string& out, std::initializer_list<std::string_view> parts) {
    append_number(out, '*', parts.size());
    for (const std::string_view part : parts) append_text(out, part);
}

std::string command(std::initializer_list<std::string_view> parts) {
    std::string out;
    append_command(out, parts);
    return out;
}

}  // namespace rotagate::session::redis
