#pragma once

#include <chrono>
#include <cstddef>

#include "config/config.hpp"

/// What holds for a connection of HTTP/2 whichever end it is to: a client's, or an app's.
namespace rotagate::proxy::http2 {

// Frames that ask for work and bring nothing, since the last that brought something; as many in a longer time are the
// keep-alive of a peer that waits.
constexpr int most_chatter = 500;
constexpr std::chrono::seconds chatter_time{50};
constexpr std::size_t most_sent_at_once = 64 * config::KiB;
// Of a head or trailers that are sent. All that is let in, or made, is far smaller; nghttp2 by itself drops what is
// over 64 KiB, without a word.
constexpr std::size_t most_head_sent = 4 * config::MiB;

}  // namespace rotagate::proxy::http2
