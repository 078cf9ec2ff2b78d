#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/load.hpp"

/// What the tests of the configuration share: loading a text, and a file that is right but for what a test adds.
namespace rotagate::config::test {

inline Loaded load(const std::string& yaml) { return load_text(yaml, "rotagate.yaml", false); }

inline std::vector<std::string> texts(const std::vector<Issue>& issues) {
    std::vector<std::string> lines;
    lines.reserve(issues.size());
    for (const Issue& issue : issues) lines.push_back(issue.text());
    return lines;
}
inline std::vector<std::string> errors(const std::string& yaml) { return texts(load(yaml).errors); }
inline std::vector<std::string> warnings(const std::string& yaml) { return texts(load(yaml).warnings); }

/// Four lines without a mistake; what a test adds begins on line 5.
inline const std::string base =
    "listen: [{ address: 127.0.0.1:8080 }]\n"
    "upstreams:\n"
    "  shop: { servers: [127.0.0.1:9000] }\n"
    "\n";

/// A text between two others, on line 5.
inline std::string with(const std::string& before, const std::string& text, const std::string& behind) {
    return base + before + text + behind;
}

/// A route on line 5, with more of its keys from line 6 on, indented by four.
inline std::string route(const std::string& more) {
    return base + "routes: [ { match: { path: / }, upstream: shop,\n    " + more + " } ]\n";
}

/// A text in a place of a configuration, and what must be said about it.
struct Mistake {
    std::string yaml;
    std::string message;
};

using Lines = std::vector<std::string>;

/// Each text, behind the four right lines, has exactly this one mistake.
template <std::size_t N>
void check_mistakes(const Mistake (&mistakes)[N]) {
    for (const auto& [yaml, message] : mistakes) CHECK(errors(base + yaml) == Lines{"rotagate.yaml:" + message});
}

}  // namespace rotagate::config::test
