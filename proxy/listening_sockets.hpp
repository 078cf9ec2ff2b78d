#pragma once

#include <vector>

#include "config/config.hpp"
#include "proxy/descriptor.hpp"

namespace rotagate::proxy {

/// Listens on a TCP address with some sockets, one for each event loop, which share it by SO_REUSEPORT.
/// @param address  port 0: the system chooses one, which is filled in
/// Throws boost::system::system_error.
std::vector<Descriptor> open_listening_sockets(config::Address& address, std::size_t count);

}  // namespace rotagate::proxy
