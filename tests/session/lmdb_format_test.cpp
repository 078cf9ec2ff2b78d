#include "session/lmdb_format.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::session;

namespace {

std::unique_ptr<MemoryRecord> sample() {
    auto created = std::make_unique<MemoryRecord>();
    MemoryRecord& record = *created;
    record.id = SessionId::create({"J\u00FCrgen", "acme"});
    record.rotation = {.seen = {Millis{10}, Millis{11}}, .mark = {Millis{12}, Millis{13}}, .floor = Millis{14}};
    record.created = Millis{1'700'000'000'000};
    record.last_seen = Millis{1'700'000'000'001};
    record.expires = Millis{1'800'000'000'000};
    record.serial = 0xFEDCBA9876543210;
    record.permanent = true;
    record.data = std::make_shared<const std::string>(R"({"cart":3})");
    record.client = "192.0.2.7";
    return created;
}

}  // namespace

SCENARIO("a session comes back from the disk as it was", "[lmdb]") {
    const auto created = sample();
    MemoryRecord& record = *created;
    const auto back = [&] { return decode(record_key(record.id), encode_session(record), encode_state(record)); };
    const auto kept = back();
    REQUIRE(kept);
    CHECK(kept->session.id == record.id);
    CHECK(kept->rotation == record.rotation);
    CHECK(kept->session.created == record.created);
    CHECK(kept->session.last_seen == record.last_seen);
    CHECK(kept->session.expires == record.expires);
    CHECK(kept->serial == record.serial);
    CHECK(kept->session.permanent);
    CHECK(*kept->session.data == *record.data);
    CHECK(kept->session.client == record.client);

    record.data = nullptr;
    record.permanent = false;
    CHECK(back()->session.data == nullptr);
    CHECK_FALSE(back()->session.permanent);
    record.data = std::make_shared<const std::string>();
    CHECK(back()->session.data != nullptr);
}

SCENARIO("a changed, cut or misplaced value is no session", "[lmdb]") {
    const auto created = sample();
    const MemoryRecord& record = *created;
    const std::string key{record_key(record.id)}, session = encode_session(record), state = encode_state(record);
    REQUIRE(key.size() == 22);
    REQUIRE(decode(key, session, state));
    CHECK_FALSE(decode(record_key(sample()->id), session, state));
    CHECK_FALSE(decode(key, state, session));
    for (std::size_t i = 0; i < session.size(); ++i) {
        std::string changed = session;
        changed[i] = static_cast<char>(changed[i] ^ 4);
        CHECK_FALSE(decode(key, changed, state));
        CHECK_FALSE(decode(key, session.substr(0, i), state));
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
        std::string changed = state;
        changed[i] = static_cast<char>(changed[i] ^ 4);
        CHECK_FALSE(decode(key, session, changed));
        CHECK_FALSE(decode(key, session, state.substr(0, i)));
    }
}
