#pragma once

#include <catch2/catch.hpp>

#include "fake_clock.hpp"
#include "session/lmdb_store.hpp"
#include "temporary_folder.hpp"

namespace rotagate::session {

/// A store on disk with one event loop, and calls that wait for their answers.
class LmdbSite {
public:
    LmdbSite(const std::filesystem::path& folder, const FakeClock& clock, config::Session settings = patient(),
             ExpiryListener on_expiry = {}) {
        settings.store = "lmdb:" + folder.string();
        stores = std::make_unique<LmdbStores>(settings, std::move(on_expiry), clock.reader());
        store = stores->on(loop);
    }
    /// Settings under which a busy machine is no failure.
    static config::Session patient() {
        config::Session settings;
        settings.store_timeout = std::chrono::seconds{60};
        return settings;
    }

    /// Runs what the event loop has to do, until a call is answered.
    template <class T, class Call>
    Result<T> wait_for(Call call) {
        std::optional<Result<T>> answer;
        call([&answer](Result<T> result) { answer.emplace(std::move(result)); });
        while (!answer) run_some();
        return std::move(*answer);
    }
    void run_some() {
        loop.restart();
        if (loop.run_one_for(std::chrono::minutes{2}) == 0) throw std::runtime_error("no answer in time");
    }

    Result<Started> try_start(NewSession request) {
        return wait_for<Started>([&](auto done) { store->start(std::move(request), done); });
    }
    Session start(const std::string& user, NewSession request = {}) {
        request.user = {user, ""};
        return try_start(std::move(request)).value().session;
    }
    Result<Session> present(const SessionId& id, Millis minted) {
        return wait_for<Session>([&](auto done) { store->present({id, minted, {}}, {}, done); });
    }
    Result<Session> present(const SessionId& id) { return present(id, store->now()); }
    Result<bool> end(const SessionId& id) {
        return wait_for<bool>([&](auto done) { store->end(id, done); });
    }
    Result<> ping() {
        return wait_for<void>([&](auto done) { store->ping(done); });
    }
    std::vector<Session> list(const Selection& selection = {}) {
        return wait_for<Page>([&](auto done) { store->list(selection, "", 1000, done); }).value().sessions;
    }
    /// Returns once all that has changed up to now is on the disk.
    void flush() { REQUIRE(end(SessionId::create({"nobody", ""})).has_value()); }

    boost::asio::io_context loop;
    std::unique_ptr<LmdbStores> stores;
    std::shared_ptr<SessionStore> store;
};

}  // namespace rotagate::session
