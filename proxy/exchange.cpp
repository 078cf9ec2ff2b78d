#include "proxy/exchange.hpp"

#include "proxy/tunnel.hpp"

namespace rotagate::proxy {

Exchange::Exchange(Client& its_client, const Peer& its_peer, std::shared_ptr<const Site> its_site)
    : client(its_client), peer(its_peer), site(std::move(its_site)) {}

Exchange::~Exchange() = default;

}  // namespace rotagate::proxy
