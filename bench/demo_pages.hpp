#pragma once

#include <string>
#include <string_view>

#include "bench/demo_http.hpp"
#include "bench/demo_visitors.hpp"

namespace rotagate::demo {

/// Whom the app takes the visitor for: only what the gateway's headers say (SPEC section 3).
struct Visitor {
    std::string user;  ///< decoded; empty: nobody is signed in
    std::string org;
    std::string data;        ///< X-Session-Data as it came; empty where the route does not send it
    std::string request_id;  ///< X-Request-Id

    bool signed_in() const { return !user.empty(); }
    static Visitor from(const Head& head);
};

/// The pages that a person sees, and the ones that answer a form.
class Pages {
public:
    /// @param body  of a form; empty for all other requests
    Reply answer(const Head& head, const Target& target, std::string_view body);

private:
    Reply account(const Visitor& visitor);
    Reply log_in(const Visitor& visitor, const Params& form);
    Reply log_out(const Visitor& visitor, const Params& form);

    Visitors visitors_;
};

}  // namespace rotagate::demo
