#include "backend.hpp"

#include <stdexcept>

#include "session/memory_store.hpp"

namespace rotagate::model {
namespace {

using session::SessionErrc;

class RuleBackend final : public Backend {
public:
    RuleBackend(Millis grace_, Rule rule) : Backend(grace_), rule_(std::move(rule)) {}

    Cookie login(const std::optional<SessionId>&, int gateway) override {
        state_ = session::RotationState::created(now);
        id_.text = std::to_string(++sessions_);
        return mint(id_, gateway);
    }
    Cookie mint(const SessionId& id, int gateway) override { return {.id = id, .minted = clock_of(gateway)}; }
    Outcome present(const Cookie& cookie, int) override {
        if (known_ended(cookie.id)) return Outcome::unknown;
        if (rule_(*state_, cookie.minted, now, grace) == session::Verdict::valid) return Outcome::valid;
        state_.reset();
        return Outcome::replayed;
    }
    void end(const SessionId& id) override {
        if (id == id_) state_.reset();
    }
    bool known_ended(const SessionId& id) override { return !state_ || !(id == id_); }

private:
    Rule rule_;
    std::optional<session::RotationState> state_;
    SessionId id_;
    unsigned sessions_ = 0;
};

rotagate::config::Session settings(Millis grace) {
    rotagate::config::Session settings;
    settings.idle_timeout = std::chrono::hours{24 * 365};
    settings.rotation.grace = grace;
    return settings;
}

class StoreBackend final : public Backend {
public:
    explicit StoreBackend(Millis grace_)
        : Backend(grace_), ring_{{session::CookieKey::generate()}}, store_(settings(grace_), [this] { return now; }) {}

    Cookie login(const std::optional<SessionId>& replaces, int gateway) override {
        SessionId id;
        store_.start({.user = {"alice", "acme"}, .replaces = replaces},
                     [&](session::Result<session::Started> started) { id = started.value().session.id; });
        return mint(id, gateway);
    }
    Cookie mint(const SessionId& id, int gateway) override {
        const Millis minted = clock_of(gateway);
        return {.id = id, .minted = minted, .sealed = sealer(gateway).seal({id, minted, minted}, "model")};
    }
    Outcome present(const Cookie& cookie, int gateway) override {
        const auto opened = sealer(gateway).open(cookie.sealed, "model").value();
        if (!(opened.id == cookie.id) || opened.minted != cookie.minted)
            throw std::logic_error("another cookie opened");
        auto outcome = Outcome::valid;
        store_.present(opened, {}, [&](const session::Result<session::Session>& result) {
            if (result.has_value()) return;
            if (result.error() == SessionErrc::replayed) outcome = Outcome::replayed;
            if (result.error() == SessionErrc::replaced) outcome = Outcome::replaced;
            if (result.error() == SessionErrc::unknown) outcome = Outcome::unknown;
        });
        return outcome;
    }
    void end(const SessionId& id) override {
        store_.end(id, [](session::Result<bool>) {});
    }
    bool known_ended(const SessionId& id) override { return store_.known_ended(id); }

private:
    session::CookieSealer& sealer(int gateway) { return sealers_[static_cast<std::size_t>(gateway)]; }

    session::KeyRing ring_;
    std::array<session::CookieSealer, gateways> sealers_{session::CookieSealer{ring_}, session::CookieSealer{ring_}};
    session::MemoryStore store_;
};

}  // namespace

std::unique_ptr<Backend> rule_backend(Millis grace, Rule rule) {
    return std::make_unique<RuleBackend>(grace, std::move(rule));
}

std::unique_ptr<Backend> store_backend(Millis grace) { return std::make_unique<StoreBackend>(grace); }

}  // namespace rotagate::model
