#pragma once

#include "proxy/task.hpp"

namespace rotagate::proxy {

/// What an app is asked over: a connection of HTTP/1, or a stream of HTTP/2.
class Abortable {
public:
    /// Ends all waiting for the app, now and later, with this error.
    virtual void abort(error_code reason) = 0;

protected:
    ~Abortable() = default;
};

}  // namespace rotagate::proxy
