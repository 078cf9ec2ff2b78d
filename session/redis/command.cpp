#include "session/redis/command.hpp"

#include <charconv>

namespace rotagate::session::redis {
namespace {

void append_number(std::string& out, char type, std::size_t number) {
    char text[24];
    text[0] = type;
    char* const end = std::to_chars(text + 1, text + sizeof text, number).ptr;
    out.append(text, end).append("\r\n");
}

}  // namespace

void append_command(std::string& out, std::span<const std::string_view> parts) {
    append_number(out, '*', parts.size());
    for (const std::string_view part : parts) {
        append_number(out, '$', part.size());
        out.append(part).append("\r\n");
    }
}

std::string command(std::initializer_list<std::string_view> parts) {
    std::string out;
    append_command(out, parts);
    return out;
}

}  // namespace rotagate::session::redis
