#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/files.hpp"
#include "config/reader.hpp"

/// The sections of a configuration file. Each function reads one, and checks the rules between its settings.
namespace rotagate::config {

/// @param root  the file's own map: reads its `listen`
std::vector<Listener> read_listeners(Reader& root, const Files& files);
TlsTickets read_tls_tickets(Reader yaml, const Files& files);
Session read_session(Reader yaml, const Files& files);
/// In the file's order. One with mistakes is among them, so that routes to it are no further mistakes.
std::vector<Upstream> read_upstreams(Reader yaml, const Files& files);
/// @param root    the file's own map: reads its `routes`
/// @param config  whose listeners and upstreams were read
std::vector<Route> read_routes(Reader& root, const Config& config);
Admin read_admin(Reader yaml, const Files& files);
Limits read_limits(Reader yaml);
Log read_log(Reader yaml, const Files& files);

}  // namespace rotagate::config
