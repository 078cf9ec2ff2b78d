#include "proxy/caching.hpp"

#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy {
namespace {

/// The length of the first directive: up to a comma outside of quotes.
std::size_t directive_end(std::string_view list) {
    bool quoted = false;
    for (std::size_t at = 0; at < list.size(); ++at) {
        if (quoted && list[at] == '\\') {
            ++at;
        } else if (list[at] == '"') {
            quoted = !quoted;
        } else if (list[at] == ',' && !quoted) {
            return at;
        }
    }
    return list.size();
}

}  // namespace

void UnsharedCacheControl::add(std::string_view cache_control) {
    while (!cache_control.empty()) {
        const auto end = directive_end(cache_control);
        add_directive(grammar::trimmed(cache_control.substr(0, end)));
        cache_control.remove_prefix(end == cache_control.size() ? end : end + 1);
    }
}

void UnsharedCacheControl::add_directive(std::string_view directive) {
    const auto name = grammar::trimmed(directive.substr(0, directive.find('=')));
    const bool qualified = name.size() != directive.size();
    if (name.empty() || same_name(name, "public") || same_name(name, "s-maxage")) return;
    if (same_name(name, "proxy-revalidate")) return;
    if (same_name(name, "private")) {
        if (qualified) return;  // private="field" leaves the rest to shared caches
        private_ = true;
    }
    no_store_ |= same_name(name, "no-store");
    must_understand_ |= same_name(name, "must-understand");
    if (!directives_.empty()) directives_ += ", ";
    directives_ += directive;
}

std::string UnsharedCacheControl::value() && {
    const bool closed = private_ || (no_store_ && !must_understand_);
    if (closed) return std::move(directives_);
    // In front, where no quote that the app leaves open hides it.
    return directives_.empty() ? "private" : "private, " + directives_;
}

}  // namespace rotagate::proxy
