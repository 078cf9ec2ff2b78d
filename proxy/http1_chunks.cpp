#include <algorithm>

#include "proxy/grammar.hpp"
#include "proxy/http1.hpp"

namespace rotagate::proxy::http1 {
namespace {

constexpr unsigned most_digits = 16;
constexpr std::size_t most_extension_bytes = 4096, most_body_extension_bytes = 65536, most_trailer_bytes = 16384;

}  // namespace

ChunkReader::State ChunkReader::after_size(char c) {
    if (digits_ == 0) return State::bad;
    if (c == '\r') return State::size_lf;
    const bool padding = (c == ' ' || c == '\t') && from_ == From::app;
    if (padding && ++extension_bytes_ <= most_extension_bytes) return State::padding;
    return c == ';' ? State::extension : State::bad;
}

ChunkReader::State ChunkReader::size_digit(char c) {
    const int digit = grammar::hex_value(c);
    if (digit < 0) return after_size(c);
    if (++digits_ > most_digits) return State::bad;
    left_ = left_ * 16 + static_cast<unsigned>(digit);
    return State::size;
}

ChunkReader::State ChunkReader::extension_byte(char c) {
    if (c == '\r') return State::size_lf;
    if (++extension_bytes_ > most_extension_bytes || ++body_extension_bytes_ > most_body_extension_bytes) {
        return State::bad;
    }
    return grammar::in(grammar::value_chars, c) ? State::extension : State::bad;
}

ChunkReader::State ChunkReader::trailer_byte(char c) {
    if (++trailer_bytes_ > most_trailer_bytes) return State::bad;
    switch (state_) {
        case State::trailer_start:
            if (c == '\r') return State::end_lf;
            return grammar::in(grammar::token_chars, c) ? State::trailer_name : State::bad;
        case State::trailer_name:
            if (c == ':') return State::trailer_value;
            return grammar::in(grammar::token_chars, c) ? State::trailer_name : State::bad;
        default:
            if (c == '\r') return State::trailer_lf;
            return grammar::in(grammar::value_chars, c) ? State::trailer_value : State::bad;
    }
}

ChunkReader::State ChunkReader::step(char c) {
    const auto expect = [c](char wanted, State then) { return c == wanted ? then : State::bad; };
    switch (state_) {
        case State::size:
            return size_digit(c);
        case State::padding:
            return after_size(c);
        case State::extension:
            return extension_byte(c);
        case State::size_lf:
            return expect('\n', left_ > 0 ? State::data : State::trailer_start);
        case State::data_cr:
            return expect('\r', State::data_lf);
        case State::data_lf:
            digits_ = 0;
            extension_bytes_ = 0;
            return expect('\n', State::size);
        case State::trailer_start:
        case State::trailer_name:
        case State::trailer_value:
            return trailer_byte(c);
        case State::trailer_lf:
            return expect('\n', State::trailer_start);
        case State::end_lf:
            return expect('\n', State::done);
        case State::data:
        case State::done:
        case State::bad:
            break;
    }
    return State::bad;
}

ChunkReader::Piece ChunkReader::next(std::string_view input) {
    Piece piece;
    while (state_ != State::data && state_ != State::done && state_ != State::bad && piece.consumed < input.size()) {
        state_ = step(input[piece.consumed++]);
    }
    if (state_ == State::data) {
        piece.data = input.substr(piece.consumed, std::min<std::uint64_t>(left_, input.size() - piece.consumed));
        piece.consumed += piece.data.size();
        left_ -= piece.data.size();
        if (left_ == 0) state_ = State::data_cr;
    }
    piece.end = state_ == State::done;
    piece.bad = state_ == State::bad;
    return piece;
}

}  // namespace rotagate::proxy::http1
