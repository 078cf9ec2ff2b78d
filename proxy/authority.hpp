#pragma once

#include <string>
#include <string_view>

namespace rotagate::proxy {

/// Reads "host", "host:port", "[v6]" or "[v6]:port" of a Host field, :authority or absolute-form. Host names are
/// letters, digits, "-", "_" and "." without empty labels: stricter than RFC 3986, which leaves room for what no DNS
/// name holds.
/// @param host  set to the host in lower case, without port and without the dot at the end that DNS allows
/// @return whether it is one; userinfo, lists, ports over 65535 and the like are not
bool read_authority(std::string_view authority, std::string& host);

}  // namespace rotagate::proxy
