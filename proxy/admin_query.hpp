#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "session/store.hpp"

namespace rotagate::proxy {

/// The path and the parameters of a request to the admin address, percent-decoded; "+" is a plus.
struct AdminTarget {
    std::string path;
    std::map<std::string, std::string, std::less<>> parameters;

    /// Throws AdminUsage where the target is no URL, or has a parameter twice.
    static AdminTarget parse(std::string_view target);
    /// Throws AdminUsage for a parameter that is none of these.
    void allow_only(std::initializer_list<std::string_view> names) const;
    std::optional<std::string> find(std::string_view name) const;
    /// `user` and `org`. Throws AdminUsage where one is not the name of any user.
    session::Selection selection() const;
    /// `limit`, from 1 to 1000; 100 without one. Throws AdminUsage.
    std::size_t limit() const;
};

/// A request that cannot be meant so; the message names the cure.
struct AdminUsage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace rotagate::proxy
