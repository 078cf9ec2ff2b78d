#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rotagate::proxy {

/// Who counts as one client: an IP address; of IPv6, its first 64 bits, which one customer has.
std::string client_of(std::string_view address);

/// How many connections each client has, on all event loops together: for limits.connections_per_client.
class ClientConnections {
public:
    /// One connection among its client's, for as long as it lives. Empty: it does not count.
    class Place {
    public:
        Place() = default;
        Place(Place&& other) noexcept
            : counts_(std::exchange(other.counts_, nullptr)), client_(std::move(other.client_)) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (counts_) counts_->give_back(client_);
        }

    private:
        friend ClientConnections;
        Place(ClientConnections& counts, std::string client) : counts_(&counts), client_(std::move(client)) {}

        ClientConnections* counts_ = nullptr;
        std::string client_;
    };

    /// From any thread.
    /// @return none: as many as `limit` are there already
    std::optional<Place> take(std::string_view address, std::size_t limit);

private:
    void give_back(const std::string& client);

    std::mutex mutex_;
    std::map<std::string, std::size_t> counts_;
};

}  // namespace rotagate::proxy
