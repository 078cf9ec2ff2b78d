#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/http2_app_stream.hpp"
#include "proxy/http2_text.hpp"
#include "proxy/stream.hpp"

namespace rotagate::proxy::http2 {

/// What a connection to an app uses of its event loop; all of it outlives the connection.
struct AppLoop {
    asio::io_context& context;
    Deadlines& deadlines;
    Tasks& tasks;
};

/// A connection to an app that speaks HTTP/2 (RFC 9113, by nghttp2), for many requests at a time. As towards clients,
/// nothing is resumed inside of nghttp2's callbacks: what they tell is noted, and acted on behind them.
class AppConnection final : public std::enable_shared_from_this<AppConnection> {
public:
    /// @param patience  for the app to introduce itself, to echo what it is sent, and to take it before it gets more
    /// @param limit     for it to take any of it, before the connection ends
    AppConnection(const AppLoop& loop, std::shared_ptr<proxy::Stream> transport, config::Duration patience,
                  config::Duration limit);

    /// Speaks with the app until the connection ends, beside others.
    void start();
    /// Waits for the app's SETTINGS, the first that it says. Errors: timed_out; bad_message (it speaks no HTTP/2).
    Task<error_code> introduction();
    /// Whether it takes one more request.
    bool has_room() const;
    std::size_t streams() const { return streams_.size(); }
    bool ended() const { return ended_; }
    /// No more requests; those that have been sent go on.
    void shut_down();
    /// Is told when the last stream goes, and when the connection ends. Empty: nobody is.
    void on_rest(std::function<void()> call) { on_rest_ = std::move(call); }

    // What streams ask for.
    /// Whether the app reads a head or trailers of this size, by its SETTINGS_MAX_HEADER_LIST_SIZE. What is larger
    /// makes some apps end the connection, and the requests of others with it.
    bool takes(std::size_t section_size) const;
    void open(AppStream& stream, FieldSection::Pseudo pseudo, std::span<const Field> fields, bool has_body);
    void resume_body(AppStream& stream);
    void consumed(const AppStream& stream, std::size_t bytes);
    void reset(AppStream& stream);
    /// Forgets the stream; resets it where it is not over.
    void leave(AppStream& stream);
    /// The app was late: it gets no more requests here until it has echoed a PING.
    void doubt();

private:
    struct Callbacks;

    void open_session();
    Task<> run(std::shared_ptr<AppConnection> self);
    bool read_input();
    void act();
    void act_soon();
    void wake(std::int32_t id);
    void send();
    Task<> finish_sending(std::shared_ptr<AppConnection> self);
    void end();
    void note_frame();
    void changed(std::int32_t id);
    AppStream* find(std::int32_t id) const;

    AppLoop loop_;
    std::shared_ptr<proxy::Stream> transport_;
    const config::Duration patience_, limit_;
    Session session_;
    std::map<std::int32_t, AppStream*> streams_;
    std::vector<std::int32_t> changed_;  ///< that something has happened to
    Deadline introducing_, writing_, doubting_;
    Signal introduced_;
    std::function<void()> on_rest_;
    unsigned open_ = 0;  ///< streams that are not closed
    int chatter_ = 0;
    std::chrono::steady_clock::time_point chatter_since_, sending_since_;
    bool has_settings_ = false, no_more_ = false;
    bool act_is_due_ = false, sending_ = false, ended_ = false;
    FieldSection section_;
};

}  // namespace rotagate::proxy::http2
