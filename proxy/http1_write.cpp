#include <charconv>
#include <ostream>  // Boost 1.81's string_view needs it

#include <boost/beast/http/status.hpp>

#include "proxy/http1.hpp"

namespace rotagate::proxy::http1 {
namespace {

template <class Number>
void append_number(std::string& out, Number number, int base = 10) {
    char digits[20];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number, base).ptr);
}

void append_fields(std::string& out, const Fields& fields) {
    std::size_t size = 2;
    for (const Field& field : fields) size += field.name.size() + field.value.size() + 4;
    const std::size_t start = out.size();
    out.resize(start + size);  // once, and not a check of the room for each piece
    char* end = out.data() + start;
    const auto put = [&](std::string_view piece) { end += piece.copy(end, piece.size()); };
    for (const Field& field : fields) {
        put(field.name);
        put(": ");
        put(field.value);
        put("\r\n");
    }
    put("\r\n");
}

std::string_view standard_reason(unsigned status) {
    const auto known = boost::beast::http::int_to_status(status);
    if (known == boost::beast::http::status::unknown) return {};
    const auto reason = boost::beast::http::obsolete_reason(known);
    return {reason.data(), reason.size()};
}

}  // namespace

void write_request_head(std::string& out, std::string_view method, std::string_view target, const Fields& fields) {
    out += method;
    out += ' ';
    out += target;
    out += " HTTP/1.1\r\n";
    append_fields(out, fields);
}

void write_response_head(std::string& out, unsigned status, std::string_view reason, const Fields& fields) {
    out += "HTTP/1.1 ";
    append_number(out, status);
    out += ' ';
    out += reason.empty() ? standard_reason(status) : reason;
    out += "\r\n";
    append_fields(out, fields);
}

void write_chunk(std::string& out, std::string_view data) {
    if (data.empty()) return;
    append_number(out, data.size(), 16);
    out += "\r\n";
    out += data;
    out += "\r\n";
}

}  // namespace rotagate::proxy::http1
