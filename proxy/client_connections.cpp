#include "proxy/client_connections.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

namespace rotagate::proxy {

std::string client_of(std::string_view address) {
    boost::system::error_code ec;
    const auto parsed = boost::asio::ip::make_address(address, ec);
    if (ec || !parsed.is_v6()) return std::string(address);
    auto bytes = parsed.to_v6().to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), 0);
    return boost::asio::ip::address_v6(bytes).to_string();
}

std::optional<ClientConnections::Place> ClientConnections::take(std::string_view address, std::size_t limit) {
    std::string client = client_of(address);
    const std::lock_guard lock(mutex_);
    const auto count = counts_.try_emplace(std::move(client), 0).first;
    if (count->second >= limit) return std::nullopt;
    ++count->second;
    return Place(*this, count);
}

void ClientConnections::give_back(Counts::iterator count) {
    const std::lock_guard lock(mutex_);
    if (--count->second == 0) counts_.erase(count);
}

}  // namespace rotagate::proxy
