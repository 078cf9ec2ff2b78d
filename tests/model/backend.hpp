#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "session/cookie.hpp"
#include "session/rotation.hpp"

/// What the simulated browsers talk to: gateways that share one store, and a clock that the simulation sets.
namespace rotagate::model {

using session::Millis;
using session::SessionId;

struct Cookie {
    SessionId id{};
    Millis minted{};
    std::string sealed{};  ///< empty where the rule alone is simulated
};

enum class Outcome { valid, replayed, replaced, unknown };

class Backend {
public:
    static constexpr int gateways = 2;

    explicit Backend(Millis grace_) : grace(grace_) {}
    virtual ~Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    /// @param replaces  the session that the login's request carried
    virtual Cookie login(const std::optional<SessionId>& replaces, int gateway) = 0;
    virtual Cookie mint(const SessionId& id, int gateway) = 0;
    virtual Outcome present(const Cookie& cookie, int gateway) = 0;
    virtual void end(const SessionId& id) = 0;
    virtual bool known_ended(const SessionId& id) = 0;

    /// What a gateway takes the store's clock for.
    Millis clock_of(int gateway) const { return now + skew[static_cast<std::size_t>(gateway)]; }

    const Millis grace;
    Millis now{1'700'000'000'000};
    std::array<Millis, gateways> skew{};  ///< how far the gateways' estimates of that clock are off
};

using Rule = std::function<session::Verdict(session::RotationState&, Millis minted, Millis now, Millis grace)>;

/// One session at a time, under the rule alone: it may be a broken one.
std::unique_ptr<Backend> rule_backend(Millis grace, Rule rule);
/// The memory store, and a sealer per gateway with the same keys.
std::unique_ptr<Backend> store_backend(Millis grace);

}  // namespace rotagate::model
