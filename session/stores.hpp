#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "session/store.hpp"

namespace rotagate::session {

/// The sessions of this process, in whatever store the configuration names. Thread-safe.
class SessionStores {
public:
    virtual ~SessionStores() = default;
    /// The store as one event loop sees it: completions are called there. It must go before the loop does.
    virtual std::shared_ptr<SessionStore> on(boost::asio::io_context& loop) = 0;
    /// Does what has fallen due, such as to forget what has expired; call it about once a second, from one thread.
    virtual void sweep() = 0;
    /// Has other settings count from here on, in all event loops; at least those that fixed_settings() leaves free.
    virtual void adopt(const config::Session& settings) = 0;
    /// How many sessions are stored; none: not known without asking the store.
    virtual std::optional<std::size_t> size() const = 0;
};

/// Names the settings that differ, such as "session.store", and cannot change while the process runs: where sessions
/// are; and with Redis what is written into its scripts and connections.
std::vector<std::string> fixed_settings(const config::Session& in_force, const config::Session& wanted);

/// Opens the store of `session.store`.
/// @param control    runs what belongs to no event loop in particular
/// @param on_expiry  hears of sessions that expire; called on `control`'s thread
/// Throws std::runtime_error, with what is wrong and the cure, where the store cannot be opened at all. A remote one
/// that does not answer is no error: it may come back.
std::unique_ptr<SessionStores> open_stores(const config::Session& settings, boost::asio::io_context& control,
                                           ExpiryListener on_expiry);

}  // namespace rotagate::session
