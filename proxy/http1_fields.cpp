#include "proxy/http1_fields.hpp"

#include <charconv>
#include <cstring>
#include <limits>

#include "proxy/grammar.hpp"

namespace rotagate::proxy::http1 {
namespace {

constexpr std::size_t most_options = 64;

/// Splits "Name: value".
std::optional<HeadError> read_field(std::string_view line, Sender sender, Field& field) {
    std::size_t end = 0;
    while (end < line.size() && grammar::in(grammar::token_chars, line[end])) ++end;
    if (end == 0) {
        const bool folded = !line.empty() && (line[0] == ' ' || line[0] == '\t');
        return HeadError{400, folded ? "folded_field" : "bad_field_name"};
    }
    field.name = line.substr(0, end);
    field.known = classify(field.name);
    const bool frames = field.known == Known::content_length || field.known == Known::transfer_encoding;
    if (sender == Sender::app && !frames)
        while (end < line.size() && (line[end] == ' ' || line[end] == '\t')) ++end;
    if (end == line.size() || line[end] != ':') return HeadError{400, "bad_field_name"};
    field.value = grammar::trimmed(line.substr(end + 1));
    if (!grammar::is_value(field.value)) return HeadError{400, "bad_field_value"};
    return std::nullopt;
}

void note(Single& single, std::string_view value) {
    if (single.count++ == 0) single.value = value;
}

std::optional<HeadError> note_connection(std::string_view value, Sender sender, Special& special) {
    const bool well_formed = grammar::each_item(value, ',', [&](std::string_view option) {
        ++special.options;
        if (same_name(option, "close")) special.close = true;
        if (same_name(option, "keep-alive")) special.keep_alive = true;
        if (same_name(option, "upgrade")) special.upgrade = true;
        return option.empty() || grammar::is_token(option);
    });
    if (!well_formed && sender == Sender::client) return HeadError{400, "bad_connection"};
    special.close |= !well_formed;
    if (special.options > most_options) return HeadError{431, "too_many_connection_options"};
    return std::nullopt;
}

}  // namespace

Scan scan_head(std::string_view buffer, std::size_t& scanned) {
    if (!buffer.empty() && buffer[0] != '\r' && !grammar::in(grammar::token_chars, buffer[0])) {
        return {0, HeadError{400, "not_http"}};
    }
    while (scanned < buffer.size()) {
        const char* const found =
            static_cast<const char*>(std::memchr(buffer.data() + scanned, '\n', buffer.size() - scanned));
        if (found == nullptr) {
            scanned = buffer.size();
            break;
        }
        const auto at = static_cast<std::size_t>(found - buffer.data());
        scanned = at + 1;
        if (at == 0 || buffer[at - 1] != '\r') return {0, HeadError{400, "bare_line_feed"}};
        if (at == 1) continue;  // one empty line may precede a head
        if (buffer[at - 2] != '\n') continue;
        if (at == 3) return {0, HeadError{400, "empty_lines"}};
        return {scanned, std::nullopt};
    }
    return {};
}

std::string_view take_line(std::string_view& text) {
    const auto end = text.find("\r\n");
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    return line;
}

std::optional<HeadError> read_fields(std::string_view text, Sender sender, Fields& fields, Special& special) {
    while (text != "\r\n") {
        const auto end = text.find('\n');
        if (end == std::string_view::npos || end == 0 || text[end - 1] != '\r') return HeadError{400, "bad_line_end"};
        if (fields.size() == most_fields) return HeadError{431, "too_many_fields"};
        Field field;
        if (const auto error = read_field(text.substr(0, end - 1), sender, field)) return error;
        text.remove_prefix(end + 1);
        switch (field.known) {
            case Known::host:
                note(special.host, field.value);
                break;
            case Known::content_length:
                note(special.content_length, field.value);
                break;
            case Known::transfer_encoding:
                note(special.transfer_encoding, field.value);
                break;
            case Known::expect:
                note(special.expect, field.value);
                break;
            case Known::upgrade:
                special.offers_upgrade = true;
                break;
            case Known::connection:
                if (const auto error = note_connection(field.value, sender, special)) return error;
                break;
            default:
                break;
        }
        fields.push_back(field);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> read_length(std::string_view text) {
    if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return length;
}

Coding read_coding(std::string_view transfer_encoding) {
    if (same_name(transfer_encoding, "chunked")) return Coding::chunked;
    bool after_chunked = false, misplaced = false;
    const bool names = grammar::each_item(transfer_encoding, ',', [&](std::string_view coding) {
        misplaced |= after_chunked;
        after_chunked |= same_name(coding, "chunked");
        return grammar::is_token(coding);
    });
    return names && !misplaced ? Coding::unknown : Coding::malformed;
}

}  // namespace rotagate::proxy::http1
