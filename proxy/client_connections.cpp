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
    std::size_t& count = counts_[client];
    if (count >= limit) return std::nullopt;
    ++count;
    return Place(*this, std::move(client));
}

void ClientConnections::give_back(const std::string& client) {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(client);
    if (--at->second == 0) counts_.erase(at);
}

}  // namespace rotagate::proxy
