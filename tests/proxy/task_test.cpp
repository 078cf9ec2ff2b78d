#include "proxy/task.hpp"

#include <memory>
#include <stdexcept>
#include <string>

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

namespace {

/// Says when it is destroyed.
struct Witness {
    explicit Witness(std::string& its_diary) : diary(its_diary) {}
    Witness(const Witness&) = delete;
    ~Witness() { diary += '~'; }
    std::string& diary;
};

Task<std::unique_ptr<int>> answer(Signal& asked) {
    co_await asked.wait();
    co_return std::make_unique<int>(42);
}

Task<> ask(Signal& asked, std::string& diary) {
    const Witness witness(diary);
    const auto number = co_await answer(asked);
    diary += std::to_string(*number);
}

Task<int> fail() {
    throw std::runtime_error("no answer");
    co_return 0;
}

Task<> survive(std::string& diary) {
    try {
        co_await fail();
    } catch (const std::runtime_error& failure) {
        diary += failure.what();
    }
}

Task<> give_up() { co_await fail(); }

Task<int> at_once() { co_return 1; }

Task<> count(int& sum) {
    for (int i = 0; i < 100'000; ++i) sum += co_await at_once();
}

}  // namespace

SCENARIO("a task waits for another, and takes its result", "[task]") {
    Signal asked;
    std::string diary;
    Tasks tasks;
    tasks.start(ask(asked, diary));
    CHECK(asked.waited_for());
    CHECK(diary.empty());
    asked.notify();
    CHECK(diary == "42~");
    CHECK_FALSE(asked.waited_for());
    asked.notify();
    CHECK(diary == "42~");
}

SCENARIO("tasks that have not ended go with those who keep them", "[task]") {
    Signal asked;
    std::string diary;
    {
        Tasks tasks;
        tasks.start(ask(asked, diary));
    }
    CHECK(diary == "~");
}

SCENARIO("an exception reaches who awaits, and ends nobody else's task", "[task]") {
    std::string diary;
    Tasks tasks;
    tasks.start(survive(diary));
    CHECK(diary == "no answer");
    tasks.start(give_up());
}

SCENARIO("tasks that end at once need no stack", "[task]") {
    int sum = 0;
    Tasks tasks;
    tasks.start(count(sum));
    CHECK(sum == 100'000);
}
