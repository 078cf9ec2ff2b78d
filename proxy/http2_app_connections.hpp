#pragma once

#include <memory>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "config/config.hpp"
#include "proxy/http2_app_connection.hpp"
#include "session/store.hpp"

namespace rotagate::proxy {
class Connector;
}

namespace rotagate::proxy::http2 {

/// One event loop's connections to one server that speaks HTTP/2: as few as have room for all requests.
class AppConnections {
public:
    /// @param loop       its tasks are not this object's own: a connection that reads the end of the last answer may
    ///                   run while that answer's exchange gives this up, after a reload
    /// @param connector  to the server; it and the settings outlive this
    AppConnections(const AppLoop& loop, Connector& connector, const config::Upstream& settings);
    /// The connections end by themselves.
    ~AppConnections();

    /// One that takes a request at once; null: there is none.
    std::shared_ptr<AppConnection> with_room() const;
    bool opening() const { return opening_; }
    /// Opens one; or, where one is being opened, waits for that, and returns null: then look again.
    /// Errors: Connector's; bad_message (the server speaks no HTTP/2).
    Task<session::Result<std::shared_ptr<AppConnection>>> open();

private:
    struct Waiter : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
        Signal signal;
    };
    using Opened = session::Result<std::shared_ptr<AppConnection>>;
    using Waiters = boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>;

    Task<Opened> connect();
    void tidy();

    AppLoop loop_;
    Connector& connector_;
    const config::Upstream& settings_;
    std::vector<std::shared_ptr<AppConnection>> connections_;
    bool opening_ = false;
    error_code failure_;  ///< of the last that was opened
    Waiters waiters_;
};

}  // namespace rotagate::proxy::http2
