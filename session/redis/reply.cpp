#include "session/redis/reply.hpp"

#include <charconv>
#include <new>

#include <hiredis/hiredis.h>

namespace rotagate::session::redis {
namespace {

using Type = ReplyParts::Type;

// What hiredis calls a reply object is here the place of a part, plus one: null would mean that there is no memory.
void* object_of(std::size_t place) { return reinterpret_cast<void*>(place + 1); }  // NOLINT(performance-no-int-to-ptr)
std::size_t place_of(const void* object) { return reinterpret_cast<std::size_t>(object) - 1; }

void* put(const redisReadTask* task, const ReplyParts::Part& part) {
    auto& parts = static_cast<ReplyParts*>(task->privdata)->parts;
    if (!task->parent) {
        parts.push_back(part);
        return object_of(0);
    }
    const std::size_t place = parts[place_of(task->parent->obj)].begin + static_cast<std::size_t>(task->idx);
    parts[place] = part;
    return object_of(place);
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
    std::string& texts = static_cast<ReplyParts*>(task->privdata)->texts;
    const std::size_t begin = texts.size();
    texts.append(text, size);
    return put(task,
               {.type = task->type == REDIS_REPLY_ERROR ? Type::error : Type::text, .begin = begin, .count = size});
}

void* create_array(const redisReadTask* task, int count) {
    constexpr int most = 1'000'000;
    if (count > most) return nullptr;  // no server of ours says that; it ends the connection
    auto& parts = static_cast<ReplyParts*>(task->privdata)->parts;
    const std::size_t size = count > 0 ? static_cast<std::size_t>(count) : 0;
    // One's own place comes before those of one's parts.
    const std::size_t begin = parts.size() + (task->parent ? 0 : 1);
    void* const object = put(task, {.type = Type::array, .begin = begin, .count = size});
    parts.resize(begin + size);
    return object;
}

void* create_integer(const redisReadTask* task, long long value) {
    return put(task, {.type = Type::integer, .number = value});
}

void* create_nil(const redisReadTask* task) { return put(task, {}); }

void free_object(void*) {}  // next() clears all of it

redisReplyObjectFunctions functions{create_string, create_array, create_integer, create_nil, free_object};

}  // namespace

const ReplyParts::Part& Reply::part() const {
    static constexpr ReplyParts::Part nil;
    return part_ < all_->parts.size() ? all_->parts[part_] : nil;
}

std::string_view Reply::text() const {
    const auto& [type, number, begin, count] = part();
    return type == Type::text || type == Type::error ? std::string_view(all_->texts).substr(begin, count)
                                                     : std::string_view();
}

std::int64_t Reply::integer() const {
    if (part().type == Type::integer) return part().number;
    std::int64_t value = 0;
    const std::string_view digits = text();
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

Reply Reply::operator[](std::size_t index) const {
    return {*all_, index < size() ? part().begin + index : all_->parts.size()};
}

void ReplyReader::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }

ReplyReader::ReplyReader() : reader_(redisReaderCreateWithFunctions(&functions)) {
    if (!reader_) throw std::bad_alloc{};
    reader_->privdata = &parts_;
}
ReplyReader::~ReplyReader() = default;

void ReplyReader::feed(std::string_view bytes) {
    // An error shows in next().
    redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

ReplyReader::State ReplyReader::next() {
    if (between_replies_) {
        parts_.parts.clear();
        parts_.texts.clear();
    }
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return State::broken;
    between_replies_ = reply != nullptr;
    return reply ? State::reply : State::incomplete;
}

}  // namespace rotagate::session::redis
