#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/grammar.hpp"
#include "proxy/path.hpp"

/// A canonical path is its own canonical form, and an app that decodes it, even twice, finds no dot segments in it.
namespace {

using namespace rotagate::proxy;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool triplet = text[i] == '%' && i + 2 < text.size() && grammar::hex_value(text[i + 1]) >= 0 &&
                             grammar::hex_value(text[i + 2]) >= 0;
        out += triplet ? static_cast<char>(grammar::hex_value(text[i + 1]) * 16 + grammar::hex_value(text[i + 2]))
                       : text[i];
        if (triplet) i += 2;
    }
    return out;
}

/// No "." or ".." segment, with path parameters or without.
bool free_of_dots(std::string_view path) {
    while (!path.empty()) {
        const auto segment = path.substr(0, path.find('/'));
        const auto stem = segment.substr(0, segment.find(';'));
        if (stem == "." || stem == "..") return false;
        path.remove_prefix(std::min(segment.size() + 1, path.size()));
    }
    return true;
}

void check(const Target& target, std::string_view input) {
    std::string storage;
    const auto again = canonical_target(target.path, storage);
    require(again && again->path == target.path && again->query.empty());
    require(target.encoded_slash || !again->encoded_slash);
    require(target.no_utf8 || !again->no_utf8);
    require(target.path.starts_with('/') && target.path.find("//") == std::string_view::npos);
    require(input.ends_with(target.query) && (target.query.empty() || target.query.front() == '?'));
    require(target.path.size() <= input.size());
    const std::string once = decoded(target.path), twice = decoded(once);
    require(free_of_dots(target.path) && free_of_dots(once) && free_of_dots(twice));
    require(once.find('\0') == std::string::npos && once.find('\\') == std::string::npos);
    require(twice.find('\0') == std::string::npos && twice.find('\\') == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    std::string storage;
    if (const auto target = canonical_target(input, storage)) check(*target, input);
    return 0;
}
