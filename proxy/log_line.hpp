#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace rotagate::proxy {

/// "2026-11-22T23:59:04.123Z" (RFC 3339, UTC). @param time  since 1970
void append_rfc3339(fmt::memory_buffer& out, std::chrono::milliseconds time);
std::string rfc3339(std::chrono::milliseconds time);

/// A JSON string with its quotes. What is not UTF-8 becomes U+FFFD; control characters, which could steer a terminal,
/// are escaped.
void append_quoted(fmt::memory_buffer& out, std::string_view text);

/// Composes one line of a log: a JSON object, or name=value pairs where values that are not plain are quoted.
/// The line begins with the time.
class LogLine {
public:
    /// @param out  is cleared; reuse it, so that lines need no memory of their own
    LogLine(fmt::memory_buffer& out, bool json, std::chrono::milliseconds time);

    LogLine& text(std::string_view name, std::string_view value);  ///< left out where the value is empty
    LogLine& number(std::string_view name, std::uint64_t value);
    LogLine& milliseconds(std::string_view name, std::chrono::microseconds value);  ///< with three decimals
    std::string_view end();                                                         ///< the line, without a line end

private:
    void name(std::string_view name);

    fmt::memory_buffer& out_;
    bool json_;
};

}  // namespace rotagate::proxy
