#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace rotagate::session {

template <class T = void>
using Result = boost::system::result<T>;

/// What a caller can act on. Exceptions are for a broken machine (no memory, no randomness).
enum class SessionErrc {
    cookie_malformed = 1,  ///< not a cookie that we could have written
    cookie_forged,         ///< right shape, but no key of ours opens it
    unknown,               ///< expired, ended or never there: sign in again
    replaced,              ///< ended by a newer login less than 2 G ago: refuse, but leave the browser's cookie alone
    replayed,              ///< a superseded cookie: the session is destroyed now
    user_invalid,          ///< a user id or organization that is not 1 to 256 bytes of UTF-8 without control characters
    data_invalid,          ///< session data that is not a JSON object, or over 64 KiB
    unavailable,           ///< the store is down or late: try again; nothing changed
};

const boost::system::error_category& session_category();
boost::system::error_code make_error_code(SessionErrc code);

}  // namespace rotagate::session

namespace boost::system {
template <>
struct is_error_code_enum<rotagate::session::SessionErrc> : std::true_type {};
}  // namespace boost::system
