#include "proxy/cookies.hpp"

#include <algorithm>
#include <charconv>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

using Pieces = boost::container::small_vector<std::string_view, 4>;

/// One Cookie field without the session cookie's pairs, as pieces to put behind one another.
class FieldCut {
public:
    explicit FieldCut(std::string_view field) : field_(field) {}

    /// Cuts the pair in [from, to) out, and one separator beside it.
    void cut(std::size_t from, std::size_t to) {
        if (from > begin_) pieces_.push_back(field_.substr(begin_, from - begin_));
        begin_ = std::min(to + 1, field_.size());
    }
    Pieces finish() {
        if (begin_ < field_.size()) pieces_.push_back(field_.substr(begin_));
        if (begin_ == 0) return std::move(pieces_);
        while (!pieces_.empty() && (pieces_.front() = lstripped(pieces_.front())).empty())
            pieces_.erase(pieces_.begin());
        if (!pieces_.empty() && begin_ == field_.size() && pieces_.back().ends_with(';'))
            pieces_.back().remove_suffix(1);
        return std::move(pieces_);
    }

private:
    static std::string_view lstripped(std::string_view text) {
        const auto first = text.find_first_not_of(" \t");
        return first == std::string_view::npos ? std::string_view() : text.substr(first);
    }

    std::string_view field_;
    std::size_t begin_ = 0;
    Pieces pieces_;
};

Pieces cut_field(std::string_view field, std::string_view session_name, RequestCookies& found) {
    FieldCut cut(field);
    for (std::size_t from = 0; from <= field.size();) {
        const auto to = std::min(field.find(';', from), field.size());
        const auto pair = field.substr(from, to - from);
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos && grammar::trimmed(pair.substr(0, equals)) == session_name) {
            found.sessions.push_back(grammar::trimmed(pair.substr(equals + 1)));
            cut.cut(from, to);
        }
        from = to + 1;
    }
    return cut.finish();
}

std::string_view same_site(config::SameSite value) {
    switch (value) {
        case config::SameSite::lax:
            return "Lax";
        case config::SameSite::strict:
            return "Strict";
        case config::SameSite::none:
            return "None";
    }
    return "Lax";
}

constexpr std::string_view before_age = "; Path=/; Max-Age=";

}  // namespace

RequestCookies split_cookies(const Fields& fields, std::string_view session_name, Arena& arena) {
    RequestCookies found;
    Pieces all;
    for (const Field& field : fields) {
        if (field.known != Known::cookie) continue;
        const Pieces pieces = cut_field(field.value, session_name, found);
        if (!all.empty() && !pieces.empty()) all.push_back("; ");
        all.insert(all.end(), pieces.begin(), pieces.end());
    }
    const auto others = all.size() == 1 ? all.front() : arena.join(all.data(), all.size());
    if (!others.empty()) found.others = others;
    return found;
}

bool sets_cookie(std::string_view set_cookie, std::string_view name) {
    // A cookie without a name ("=sid=x") goes back to us as "sid=x": leading "=" do not count.
    const auto start = set_cookie.find_first_not_of(" \t=");
    if (start == std::string_view::npos) return false;
    set_cookie.remove_prefix(start);
    return same_name(grammar::trimmed(set_cookie.substr(0, set_cookie.find_first_of("=;"))), name);
}

SetCookieWriter::SetCookieWriter(const config::Cookie& cookie)
    : before_value_(cookie.name + "="), after_age_("; Secure; HttpOnly; SameSite=") {
    after_age_ += same_site(cookie.same_site);
    if (!cookie.domain.empty()) after_age_.append("; Domain=").append(cookie.domain);
    remove_.append(before_value_).append(before_age).append("0").append(after_age_);
}

std::string_view SetCookieWriter::set(std::string_view sealed, long max_age, Arena& arena) const {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, max_age).ptr;
    const std::string_view age(digits, static_cast<std::size_t>(end - digits));
    return arena.join({before_value_, sealed, before_age, age, after_age_});
}

}  // namespace rotagate::proxy
