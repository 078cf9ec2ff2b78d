#include <algorithm>

#include <boost/json/basic_parser_impl.hpp>

#include "session/session.hpp"

namespace rotagate::session {
namespace {

namespace json = boost::json;

constexpr std::size_t max_data = 65'536;

/// Listens to the parser without keeping anything: only whether the text is JSON matters.
struct Nothing {
    static constexpr std::size_t max_object_size = max_data;
    static constexpr std::size_t max_array_size = max_data;
    static constexpr std::size_t max_key_size = max_data;
    static constexpr std::size_t max_string_size = max_data;

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return true; }
    bool on_object_end(std::size_t, json::error_code&) { return true; }
    bool on_array_begin(json::error_code&) { return true; }
    bool on_array_end(std::size_t, json::error_code&) { return true; }
    bool on_key_part(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_key(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_number_part(json::string_view, json::error_code&) { return true; }
    bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
    bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
    bool on_double(double, json::string_view, json::error_code&) { return true; }
    bool on_bool(bool, json::error_code&) { return true; }
    bool on_null(json::error_code&) { return true; }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

/// JSON may be broken into lines, a header may not.
bool fits_header(char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) || c == '\t'; }

}  // namespace

bool valid_data(std::string_view text) {
    if (text.size() > max_data || !std::all_of(text.begin(), text.end(), fits_header)) return false;
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos || text[first] != '{') return false;
    json::parse_options options;
    options.max_depth = 512;  // as far as the JSON of most languages goes, PHP's for one
    json::basic_parser<Nothing> parser{options};
    json::error_code error;
    const std::size_t parsed = parser.write_some(false, text.data(), text.size(), error);
    return !error && parsed == text.size();
}

}  // namespace rotagate::session
