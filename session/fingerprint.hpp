#pragma once

#include <string>
#include <string_view>

namespace rotagate::session {

/// The first 8 hex digits of SHA-256(text): a short name that gives nothing of the text away.
std::string fingerprint(std::string_view text);

}  // namespace rotagate::session
