#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "app_request.hpp"
#include "proxy/http1_fields.hpp"

/// An app's response head that is accepted must mean the same to Boost.Beast.
namespace {

using namespace rotagate::proxy;
using rotagate::fuzz::require;
namespace beast = boost::beast;

/// Whether it is taken of apps only, as by Beast of nobody: blanks before a colon, Connection options that are none.
bool is_lenient(std::string_view text) {
    Fields fields;
    http1::Special special;
    http1::take_line(text);
    return http1::read_fields(text, http1::Sender::client, fields, special).has_value();
}

bool has_body(const ResponseHead& head) { return head.framing != Framing::none; }

void compare_with_beast(std::string_view text, bool to_head, const ResponseHead& head) {
    if (text[12] == '\r') return;  // Beast wants the space before a reason even where there is none
    if (is_lenient(text)) return;
    beast::http::response_parser<beast::http::empty_body> parser;
    parser.header_limit(1 << 20);
    parser.body_limit(boost::none);
    parser.skip(to_head);
    beast::error_code error;
    parser.put(boost::asio::buffer(text.data(), text.size()), error);
    // Beast wants Proxy-Connection, which is dropped here unread, to be a list.
    if (find(head.fields, Known::proxy_connection) && error) return;
    require(!error || error == beast::http::error::need_more);
    require(parser.is_header_done());
    require(parser.get().result_int() == head.status);
    require(static_cast<std::size_t>(std::distance(parser.get().begin(), parser.get().end())) == head.fields.size());
    if (!has_body(head)) return;
    require(parser.chunked() == (head.framing == Framing::chunked));
    require(parser.content_length().has_value() == (head.framing == Framing::length));
    require(parser.content_length().value_or(0) == head.content_length);
    require(parser.keep_alive() == head.keep_alive);
}

/// The gateway's own writing of it reads as the same.
void check_written_again(bool to_head, const ResponseHead& head) {
    std::string text;
    http1::write_response_head(text, head.status, head.reason, head.fields);
    ResponseHead again;
    require(!http1::parse_response_head(text, to_head, again));
    require(again.status == head.status && again.fields.size() == head.fields.size());
    for (std::size_t i = 0; i < head.fields.size(); ++i)
        require(again.fields[i].name == head.fields[i].name && again.fields[i].value == head.fields[i].value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    std::size_t scanned = 0;
    const auto head_of_it = http1::scan_head(input, scanned);
    if (head_of_it.length == 0 || head_of_it.error || !input.starts_with("HTTP/")) return 0;
    const std::string_view text = input.substr(0, head_of_it.length);
    for (const bool to_head : {false, true}) {
        ResponseHead head;
        if (http1::parse_response_head(text, to_head, head)) return 0;
        compare_with_beast(text, to_head, head);
        if (head.minor_version == 1) check_written_again(to_head, head);
    }
    return 0;
}
