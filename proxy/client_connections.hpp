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
    using Counts = std::map<std::string, std::size_t>;

    /// One connection among its client's, for as long as it lives. Empty: it does not count.
    class Place {
    public:
        Place() = default;
        Place(Place&& other) noexcept : of_(std::exchange(other.of_, nullptr)), count_(other.count_) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (of_) of_->give_back(count_);
        }

    private:
        friend ClientConnections;
        Place(ClientConnections& of, Counts::iterator count) : of_(&of), count_(count) {}

        ClientConnections* of_ = nullptr;
        Counts::iterator count_;
    };

    /// From any thread.
    /// @return none: as many as `limit` are there already
    std::optional<Place> take(std::string_view address, std::size_t limit);

private:
    void give_back(Counts::iterator count);

    std::mutex mutex_;
    Counts counts_;
};

}  // namespace rotagate::proxy
