// R1, R2, R3 and R7 of SPEC section 2 over random histories. ROTAGATE_SEED=N starts with history N.
#include <cstdlib>

#include <catch2/catch.hpp>

#include "history.hpp"

using namespace rotagate::model;
using namespace rotagate::session;
using namespace std::chrono_literals;

namespace {

using Kind = void (History::*)();

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t histories_each = 500;  // sanitizers look for other mistakes, and take twenty times as long
#else
constexpr std::uint64_t histories_each = 12'000;
#endif

std::uint64_t first_seed() {
    const char* given = std::getenv("ROTAGATE_SEED");
    return given ? std::strtoull(given, nullptr, 10) : 1;
}

/// The first history that breaks a promise, if there is one.
struct Finding {
    std::uint64_t seed;
    std::string promise;
};

std::optional<Finding> find_violation(Backend& backend, Kind kind, std::uint64_t histories) {
    for (std::uint64_t seed = first_seed(); seed < first_seed() + histories; ++seed) {
        try {
            (History{seed, backend}.*kind)();
        } catch (const Violation& violation) {
            return Finding{seed, violation.what()};
        }
    }
    return std::nullopt;
}

void holds(const std::unique_ptr<Backend>& backend, Kind kind, std::uint64_t histories) {
    const auto found = find_violation(*backend, kind, histories);
    if (found) FAIL("ROTAGATE_SEED=" << found->seed << " G=" << backend->grace.count() << "ms " << found->promise);
    SUCCEED();
}

/// Whether random histories show that this rule is wrong.
bool caught(const Rule& rule) {
    const auto backend = rule_backend(10s, rule);
    return find_violation(*backend, &History::honest, 3000) || find_violation(*backend, &History::with_thieves, 3000);
}

}  // namespace

SCENARIO("R1: no false logout, whatever is lost, late, repeated, reordered or parallel, over two gateways", "[model]") {
    for (const Millis grace : {Millis{10s}, Millis{1s}, Millis{50ms}}) {
        holds(store_backend(grace), &History::honest, histories_each);
    }
}

SCENARIO("R2, R3: old cookies die, and theft shows", "[model]") {
    for (const Millis grace : {Millis{10s}, Millis{1s}, Millis{50ms}}) {
        holds(store_backend(grace), &History::with_thieves, histories_each);
    }
}

SCENARIO("R7: the dead stay dead, and do not bury the living", "[model]") {
    for (const Millis grace : {Millis{10s}, Millis{1s}, Millis{50ms}}) {
        holds(store_backend(grace), &History::with_logins, histories_each);
    }
}

SCENARIO("the simulation has teeth: it finds what is wrong with a wrong rule", "[model]") {
    SECTION("the rule itself is not wrong") { CHECK_FALSE(caught(present)); }
    SECTION("half the grace") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            return present(state, minted, now, grace / 2);
        }));
    }
    SECTION("a tenth less grace") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            return present(state, minted, now, grace * 9 / 10);
        }));
    }
    SECTION("a tenth more grace") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            return present(state, minted, now, grace * 11 / 10 + 1ms);
        }));
    }
    SECTION("no mark: a busy session never supersedes anything") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            state.mark = {.minted = 0ms, .at = now};
            return present(state, minted, now, grace);
        }));
    }
    SECTION("a mark that is never renewed") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            const auto mark = state.mark;
            const Verdict verdict = present(state, minted, now, grace);
            state.mark = mark;
            return verdict;
        }));
    }
    SECTION("a mark that follows every step") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            const Verdict verdict = present(state, minted, now, grace);
            state.mark = state.seen;
            return verdict;
        }));
    }
    SECTION("a mint time that is kept with the moment of an earlier one") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            const Verdict verdict = present(state, minted, now, grace);
            state.seen.minted = std::max(state.seen.minted, minted);
            return verdict;
        }));
    }
    SECTION("any older cookie is refused") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            return minted < state.seen.minted ? Verdict::replay : present(state, minted, now, grace);
        }));
    }
    SECTION("a cookie is refused as soon as one G newer was presented") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            const Verdict verdict = present(state, minted, now, grace);
            state.floor = std::max(state.floor, state.seen.minted - grace);
            return verdict;
        }));
    }
    SECTION("nothing is ever refused") {
        CHECK(caught([](RotationState&, Millis, Millis, Millis) { return Verdict::valid; }));
    }
    SECTION("the floor is forgotten") {
        CHECK(caught([](RotationState& state, Millis minted, Millis now, Millis grace) {
            const Verdict verdict = present(state, minted, now, grace);
            state.floor = 0ms;
            return verdict;
        }));
    }
}
