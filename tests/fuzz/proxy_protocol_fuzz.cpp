#include <cstdint>
#include <cstdlib>
#include <string>

#include <boost/asio/ip/address.hpp>

#include "proxy/proxy_protocol.hpp"

/// A PROXY header means the same however it is cut into pieces, ends within its limits, and names an address or none.
namespace {

using rotagate::proxy::ProxyHeader;
using State = ProxyHeader::State;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Takes the bytes in pieces of that size. @return how many belong to the header
std::size_t take(ProxyHeader& header, std::string_view bytes, std::size_t piece) {
    std::size_t taken = 0;
    while (taken < bytes.size() && header.state() == State::incomplete) {
        const std::string_view next = bytes.substr(taken, piece);
        const std::size_t n = header.take(next);
        require(n == next.size() || header.state() != State::incomplete);
        taken += n;
    }
    return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    ProxyHeader whole;
    const std::size_t taken = take(whole, input, input.size());
    for (const std::size_t piece : {1, 7, 100}) {
        ProxyHeader header;
        require(take(header, input, piece) == taken);
        require(header.state() == whole.state() && header.client() == whole.client());
    }
    require(taken <= ProxyHeader::max_binary);
    require(!input.starts_with('P') || taken <= ProxyHeader::max_text);
    require((whole.state() == State::malformed) == !whole.error().empty());
    if (whole.client().empty() || whole.client() == "unix") return 0;
    require(whole.state() == State::complete);
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(whole.client(), error);
    require(!error && address.to_string() == whole.client());
    require(!address.is_v6() || !address.to_v6().is_v4_mapped());
    return 0;
}
