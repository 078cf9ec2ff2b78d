#include "session/lmdb_store.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

namespace rotagate::session {
namespace {

/// The same clock, put forward where it is behind what the disk has seen: times of sessions must not lie in the future.
MemoryStore::Clock not_before(Millis earliest, MemoryStore::Clock clock) {
    if (!clock) clock = MemoryStore::wall_clock();
    const Millis behind = std::max(earliest - clock(), Millis{0});
    return [clock = std::move(clock), behind] { return clock() + behind; };
}

}  // namespace

LmdbStores::Kept::Kept(const config::Session& settings, ExpiryListener on_expiry, MemoryStore::Clock clock)
    : environment(settings.store.substr(scheme.size())),
      contents(environment.load()),
      sessions(settings, not_before(contents.clock, std::move(clock)), std::move(on_expiry)),
      writer((sessions.restore(std::exchange(contents.sessions, {})), environment), sessions, settings.idle_timeout),
      patience(settings.store_timeout) {}

LmdbStores::LmdbStores(const config::Session& settings, ExpiryListener on_expiry, MemoryStore::Clock clock)
    : kept_(std::make_shared<Kept>(settings, std::move(on_expiry), std::move(clock))) {
    spdlog::info("lmdb.opened path={} sessions={}", kept_->environment.folder().string(), kept_->sessions.size());
}

std::shared_ptr<SessionStore> LmdbStores::on(boost::asio::io_context& loop) {
    return std::make_shared<LmdbStore>(kept_, loop);
}

void LmdbStores::adopt(const config::Session& settings) {
    kept_->sessions.adopt(settings);
    kept_->patience = settings.store_timeout;
}

LmdbStore::LmdbStore(std::shared_ptr<LmdbStores::Kept> kept, boost::asio::io_context& loop)
    : kept_(std::move(kept)), sessions_(kept_->sessions), writer_(kept_->writer), waits_(writer_, loop) {}

void LmdbStore::start(NewSession request, Completion<Started> done) {
    if (writer_.failing()) return done(SessionErrc::unavailable);
    sessions_.start(std::move(request), [&](Result<Started> started) {
        if (!started) return done(std::move(started));
        finish_start(std::move(*started), std::move(done));
    });
}

void LmdbStore::finish_start(Started started, Completion<Started> done) {
    // Logins need not wait, so that a crash loses the last 100 ms of them; but not more, however slow the disk is.
    const bool ended_others = started.replaced || !started.displaced.empty();
    if (!ended_others && writer_.keeps_up()) return done(std::move(started));
    waits_.add(kept_->patience, [this, started = std::move(started), done = std::move(done)](bool durable) {
        if (durable) return done(started);
        sessions_.end(started.session.id, [](const Result<bool>&) {});  // nobody gets to know it
        done(SessionErrc::unavailable);
    });
}

void LmdbStore::present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) {
    sessions_.present(cookie, wanted, [&](Result<Session> presented) {
        if (presented || presented.error() != SessionErrc::replayed) return done(std::move(presented));
        // A thief's visit must be told, even where the disk has not noted the session's end.
        waits_.add(kept_->patience, [done = std::move(done)](bool) { done(SessionErrc::replayed); });
    });
}

void LmdbStore::issue(const SessionId& id, Millis minted, Completion<Millis> done) {
    sessions_.issue(id, minted, std::move(done));
}

void LmdbStore::touch(const SessionId& id, bool renew, Completion<Millis> done) {
    sessions_.touch(id, renew, std::move(done));
}

void LmdbStore::replace_data(const SessionId& id, std::string json, Completion<> done) {
    sessions_.replace_data(id, std::move(json), std::move(done));
}

/// A completion that waits for the disk, whatever the result: a session may be gone already, and its end not written.
template <class T>
Completion<T> LmdbStore::once_durable(Completion<T> done) {
    return [this, done = std::move(done)](Result<T> ended) {
        Millis patience = kept_->patience;
        // Thousands take longer than one.
        if constexpr (requires { ended->size(); })
            patience += std::chrono::duration_cast<Millis>(std::chrono::microseconds{50} * ended->size());
        waits_.add(patience, [done, ended = std::move(ended)](bool durable) {
            done(durable ? ended : Result<T>{SessionErrc::unavailable});
        });
    };
}

void LmdbStore::end(const SessionId& id, Completion<bool> done) { sessions_.end(id, once_durable(std::move(done))); }

void LmdbStore::end_user(const User& user, Completion<std::vector<SessionId>> done) {
    sessions_.end_user(user, once_durable(std::move(done)));
}

void LmdbStore::end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) {
    sessions_.end_selected(selection, once_durable(std::move(done)));
}

void LmdbStore::list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) {
    sessions_.list(selection, std::move(cursor), limit, std::move(done));
}

void LmdbStore::count_users(const std::optional<std::string>& org, Completion<std::size_t> done) {
    sessions_.count_users(org, std::move(done));
}

void LmdbStore::ping(Completion<> done) { done(writer_.failing() ? Result<>{SessionErrc::unavailable} : Result<>{}); }

}  // namespace rotagate::session
