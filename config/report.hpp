#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/issue.hpp"

namespace rotagate::config {

/// A place in a file, both counted from 1.
struct Position {
    int line = 1;
    int column = 1;  ///< in bytes
    auto operator<=>(const Position&) const = default;
};

/// Gathers what is wrong with one file, in any order, and hands it out by line.
class Report {
public:
    /// Beyond this many errors nobody reads on, and a hostile file gains nothing by more.
    static constexpr std::size_t max_errors = 1000;

    /// Thrown by error() at the last one: nothing more needs to be read.
    struct Full {};

    explicit Report(std::string file) : file_(std::move(file)) {}

    void error(Position at, std::string message);
    void warning(Position at, std::string message);

    std::vector<Issue> errors() const;
    std::vector<Issue> warnings() const;

private:
    std::string file_;
    std::vector<Issue> errors_;
    std::vector<Issue> warnings_;
};

/// A value without what may be a password: what stands before an "@" becomes "***", but for a scheme such as
/// "redis://".
std::string without_credentials(std::string_view value);

/// A value as messages show it: in quotes, printable, at most 60 bytes, and without_credentials().
std::string in_quotes(std::string_view value);

/// "a, b and c", for the conjunction "and".
std::string listed(const std::vector<std::string>& words, std::string_view conjunction);

/// " did you mean X?" for the candidate that is closest to `word`; empty where none is close.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace rotagate::config
