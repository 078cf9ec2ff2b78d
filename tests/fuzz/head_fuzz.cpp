#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "app_request.hpp"

/// A request head that is accepted must mean the same to Boost.Beast, and must leave as one request with the same
/// framing that names no user but the gateway's.
namespace {

using namespace rotagate::proxy;
using rotagate::fuzz::require;
namespace beast = boost::beast;
using Named = std::vector<std::pair<std::string, std::string>>;

std::string lowered(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return lower;
}

/// By name, in order within a name, as Beast keeps them.
Named sorted(Named fields) {
    std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    return fields;
}

/// The head's length, looked for in two pieces.
std::size_t scanned_length(std::string_view text) {
    std::size_t whole_scanned = 0, split_scanned = 0;
    const auto whole = http1::scan_head(text, whole_scanned);
    auto split = http1::scan_head(text.substr(0, text.size() / 2), split_scanned);
    if (split.length == 0 && !split.error) split = http1::scan_head(text, split_scanned);
    require(split.length == whole.length && split.error.has_value() == whole.error.has_value());
    return whole.length;
}

void compare_with_beast(std::string_view text, const RequestHead& head) {
    if (text.starts_with("\r\n")) text.remove_prefix(2);
    beast::http::request_parser<beast::http::empty_body> parser;
    parser.header_limit(1 << 20);
    parser.body_limit(boost::none);
    beast::error_code error;
    parser.put(boost::asio::buffer(text.data(), text.size()), error);
    // Beast also wants Proxy-Connection, which is dropped here unread, to be a list.
    if (find(head.fields, Known::proxy_connection) && error) return;
    require(!error || error == beast::http::error::need_more);
    require(parser.is_header_done());
    const auto& message = parser.get();
    const std::string_view target(message.target().data(), message.target().size());
    require(std::string_view(message.method_string().data(), message.method_string().size()) == head.method);
    require(head.target == "*" || head.target == "/" || target.ends_with(head.target));
    require(parser.chunked() == (head.framing == Framing::chunked));
    require(parser.content_length().value_or(0) == head.content_length);
    require(parser.keep_alive() == head.keep_alive);
    Named theirs, ours;
    for (const auto& field : message) {
        const std::string_view name(field.name_string().data(), field.name_string().size());
        theirs.emplace_back(lowered(name), std::string(field.value().data(), field.value().size()));
    }
    for (const Field& field : head.fields) ours.emplace_back(lowered(field.name), std::string(field.value));
    require(sorted(std::move(theirs)) == sorted(std::move(ours)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view text = input.substr(0, scanned_length(input));
    RequestHead head;
    if (text.empty() || http1::parse_request_head(text, head)) return 0;
    compare_with_beast(text, head);
    rotagate::fuzz::check_app_request(head, false);
    rotagate::fuzz::check_app_request(head, true);
    return 0;
}
