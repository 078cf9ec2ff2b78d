#include "session/error.hpp"

#include <string>

namespace rotagate::session {
namespace {

// Categories live as long as the process, so Boost gives their base no virtual destructor.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class Category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "session"; }
    std::string message(int value) const override {
        switch (static_cast<SessionErrc>(value)) {
            case SessionErrc::cookie_malformed:
                return "malformed session cookie";
            case SessionErrc::cookie_forged:
                return "no key opens the session cookie";
            case SessionErrc::unknown:
                return "no such session";
            case SessionErrc::replaced:
                return "the session was replaced by a newer login";
            case SessionErrc::replayed:
                return "a superseded session cookie was used again";
            case SessionErrc::user_invalid:
                return "not a user id: 1 to 256 bytes of UTF-8 without control characters";
            case SessionErrc::data_invalid:
                return "not session data: a JSON object of at most 64 KiB";
            case SessionErrc::unavailable:
                return "the session store is unavailable";
        }
        return "unknown session error";
    }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& session_category() {
    static const Category category;
    return category;
}

boost::system::error_code make_error_code(SessionErrc code) { return {static_cast<int>(code), session_category()}; }

}  // namespace rotagate::session
