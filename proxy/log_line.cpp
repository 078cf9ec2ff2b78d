#include "proxy/log_line.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/chrono.h>

namespace rotagate::proxy {

namespace {

void append(fmt::memory_buffer& out, std::string_view text) { out.append(text.data(), text.data() + text.size()); }

bool continues(std::string_view text, std::size_t at, unsigned char low = 0x80, unsigned char high = 0xbf) {
    return at < text.size() && static_cast<unsigned char>(text[at]) >= low &&
           static_cast<unsigned char>(text[at]) <= high;
}

/// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0: it begins with none.
/// Source: Unicode 15, table 3-7.
std::size_t utf8_length(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    if (first < 0xe0) return continues(text, 1) ? 2 : 0;
    const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (!continues(text, 1, low, high) || !continues(text, 2)) return 0;
    if (first < 0xf0) return 3;
    return continues(text, 3) ? 4 : 0;
}

bool printable_ascii(char c) { return c >= 0x20 && c < 0x7f; }

void append_escaped(fmt::memory_buffer& out, char c) {
    switch (c) {
        case '"':
            return append(out, "\\\"");
        case '\\':
            return append(out, "\\\\");
        case '\n':
            return append(out, "\\n");
        case '\r':
            return append(out, "\\r");
        case '\t':
            return append(out, "\\t");
        default:
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    }
}

/// C1 control characters: U+0080 to U+009F.
bool is_control(std::string_view sequence) {
    return sequence.size() == 2 && sequence[0] == '\xc2' && static_cast<unsigned char>(sequence[1]) < 0xa0;
}

}  // namespace

void append_rfc3339(fmt::memory_buffer& out, std::chrono::milliseconds time) {
    // A busy thread writes many lines in one second: only the first of them asks the calendar.
    thread_local std::chrono::seconds cached{-1};
    thread_local std::string date;
    const auto second = std::chrono::floor<std::chrono::seconds>(time);
    if (second != cached) {
        date = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(second.count())));
        cached = second;
    }
    append(out, date);
    fmt::format_to(std::back_inserter(out), ".{:03}Z", (time - second).count());
}

std::string rfc3339(std::chrono::milliseconds time) {
    fmt::memory_buffer out;
    append_rfc3339(out, time);
    return fmt::to_string(out);
}

void append_quoted(fmt::memory_buffer& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        const auto plain =
            std::find_if(text.begin(), text.end(), [](char c) { return !printable_ascii(c) || c == '"' || c == '\\'; });
        out.append(text.begin(), plain);
        text.remove_prefix(static_cast<std::size_t>(plain - text.begin()));
        if (text.empty()) break;
        const std::size_t length = utf8_length(text);
        const std::string_view sequence = text.substr(0, length);
        if (length == 0) {
            append(out, "\\ufffd");
        } else if (length == 1 || is_control(sequence)) {
            append_escaped(out, sequence.back());
        } else {
            append(out, sequence);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    out.push_back('"');
}

LogLine::LogLine(fmt::memory_buffer& out, bool json, std::chrono::milliseconds time) : out_{out}, json_{json} {
    out_.clear();
    append(out_, json_ ? "{\"time\":\"" : "time=");
    append_rfc3339(out_, time);
    if (json_) out_.push_back('"');
}

void LogLine::name(std::string_view name) {
    append(out_, json_ ? ",\"" : " ");
    append(out_, name);
    append(out_, json_ ? "\":" : "=");
}

LogLine& LogLine::text(std::string_view field, std::string_view value) {
    if (value.empty()) return *this;
    name(field);
    const auto plain = [](char c) { return printable_ascii(c) && c != ' ' && c != '"' && c != '=' && c != '\\'; };
    if (!json_ && std::all_of(value.begin(), value.end(), plain)) {
        append(out_, value);
    } else {
        append_quoted(out_, value);
    }
    return *this;
}

LogLine& LogLine::number(std::string_view field, std::uint64_t value) {
    name(field);
    append(out_, fmt::format_int{value}.c_str());
    return *this;
}

LogLine& LogLine::milliseconds(std::string_view field, std::chrono::microseconds value) {
    name(field);
    fmt::format_to(std::back_inserter(out_), "{}.{:03}", value.count() / 1000, value.count() % 1000);
    return *this;
}

std::string_view LogLine::end() {
    if (json_) out_.push_back('}');
    return {out_.data(), out_.size()};
}

}  // namespace rotagate::proxy
