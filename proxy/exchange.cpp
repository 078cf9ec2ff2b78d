#include "proxy/exchange.hpp"

#include <new>
#include <vector>

#include "proxy/tunnel.hpp"

namespace rotagate::proxy {
namespace {

/// Room for exchanges that is not in use, at most as much as a busy loop needs.
class Spare {
public:
    static constexpr std::size_t limit = 256;

    ~Spare() {
        for (void* room : rooms) ::operator delete(room);
    }

    std::vector<void*> rooms;
};

Spare& spare() {
    thread_local Spare rooms;
    return rooms;
}

}  // namespace

Exchange::Exchange(Client& its_client, const Peer& its_peer, std::shared_ptr<const Site> its_site)
    : client(its_client), peer(its_peer), site(std::move(its_site)) {}

Exchange::~Exchange() = default;

void* Exchange::operator new(std::size_t size) {
    auto& rooms = spare().rooms;
    if (rooms.empty()) return ::operator new(size);
    void* room = rooms.back();
    rooms.pop_back();
    return room;
}

void Exchange::operator delete(void* memory) {
    auto& rooms = spare().rooms;
    if (rooms.size() < Spare::limit) return rooms.push_back(memory);
    ::operator delete(memory);
}

}  // namespace rotagate::proxy
