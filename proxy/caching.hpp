#pragma once

#include <string>
#include <string_view>

namespace rotagate::proxy {

/// Puts together a Cache-Control that lets no shared cache store an answer with a session cookie (SPEC section 2).
class UnsharedCacheControl {
public:
    /// Takes the directives of one field, but for those that speak to shared caches.
    void add(std::string_view cache_control);
    /// The field's value: `private` is added where nothing forbids storing already.
    std::string value() &&;

private:
    void add_directive(std::string_view directive);

    std::string directives_;
    bool private_ = false, no_store_ = false;
    bool must_understand_ = false;  ///< undoes no-store in some caches (RFC 9111 section 5.2.2.3)
};

}  // namespace rotagate::proxy
