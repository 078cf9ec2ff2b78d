#include "session/redis/trouble.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace rotagate::session::redis {
namespace {

constexpr std::array<std::pair<std::string_view, Trouble>, 15> words{{
    {"NOSCRIPT", Trouble::no_script},
    {"MOVED", Trouble::moved},
    {"ASK", Trouble::ask},
    {"TRYAGAIN", Trouble::later},
    {"CLUSTERDOWN", Trouble::isolated},
    {"LOADING", Trouble::later},
    {"BUSY", Trouble::later},
    {"MASTERDOWN", Trouble::later},
    {"NOREPLICAS", Trouble::later},  // min-replicas-to-write: right after a promotion there is none
    {"READONLY", Trouble::demoted},
    {"UNBLOCKED", Trouble::demoted},  // while it waited, it was made a replica
    {"NOAUTH", Trouble::denied},
    {"WRONGPASS", Trouble::denied},
    {"NOPERM", Trouble::denied},
    {"OOM", Trouble::failed},
}};

/// "SLOT HOST:PORT", where HOST may be empty or an IPv6 address without brackets.
bool read_redirection(std::string_view text, Diagnosis& diagnosis) {
    const auto colon = text.rfind(':');
    const auto blank = text.find(' ');
    if (colon == std::string_view::npos || blank == std::string_view::npos || colon < blank) return false;
    const char* const end = text.data() + text.size();
    const bool numbers = std::from_chars(text.data(), text.data() + blank, diagnosis.slot).ptr == text.data() + blank &&
                         std::from_chars(text.data() + colon + 1, end, diagnosis.node.port).ptr == end;
    diagnosis.node.host = text.substr(blank + 1, colon - blank - 1);
    return numbers && diagnosis.node.port != 0 && diagnosis.slot < 16384;
}

/// What comes without a word of its own.
Trouble by_sentence(std::string_view error) {
    const auto says = [&](std::string_view part) { return error.find(part) != std::string_view::npos; };
    if (says("Script killed") || says("non local key")) return Trouble::later;   // an operator's; a slot on the move
    if (says("READONLY") || says("read only replica")) return Trouble::demoted;  // inside of a script
    if (says("max number of clients") || says("-LOADING") || says("-NOREPLICAS")) return Trouble::later;
    if (says("without any password configured") || says("invalid password")) return Trouble::denied;
    return Trouble::failed;
}

}  // namespace

Diagnosis diagnose(std::string_view error) {
    const std::string_view first = error.substr(0, error.find(' '));
    for (const auto& [word, trouble] : words) {
        if (word != first) continue;
        Diagnosis diagnosis{.trouble = trouble};
        const bool redirects = trouble == Trouble::moved || trouble == Trouble::ask;
        if (redirects && !read_redirection(error.substr(std::min(first.size() + 1, error.size())), diagnosis))
            return {.trouble = Trouble::failed};
        return diagnosis;
    }
    return {.trouble = by_sentence(error)};
}

}  // namespace rotagate::session::redis
