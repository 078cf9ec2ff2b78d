#pragma once

#include <string>
#include <vector>

#include <boost/system/error_code.hpp>

#include "config/config.hpp"
#include "proxy/descriptor.hpp"

namespace rotagate::proxy {

/// Listens on a TCP address with some sockets, one for each event loop, which share it by SO_REUSEPORT.
/// @param address  port 0: the system chooses one, which is filled in
/// @param shared   the process itself listens on an address that covers this one, or is covered; otherwise nobody may:
/// SO_REUSEPORT alone would let another gateway's port be taken, too, and half of its connections
/// Throws boost::system::system_error.
std::vector<Descriptor> open_listening_sockets(config::Address& address, std::size_t count, bool shared = false);

/// What cannot be listened on, why, and the cure.
std::string cannot_listen(const config::Address& address, const boost::system::error_code& why);

}  // namespace rotagate::proxy
