#include "session/redis/reply.hpp"

#include <charconv>
#include <new>

#include <hiredis/hiredis.h>

namespace rotagate::session::redis {

bool Reply::is_error() const { return reply_ && reply_->type == REDIS_REPLY_ERROR; }

bool Reply::is_nil() const { return !reply_ || reply_->type == REDIS_REPLY_NIL; }

std::string_view Reply::text() const {
    if (!reply_) return {};
    const bool has_text =
        reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS || reply_->type == REDIS_REPLY_ERROR;
    return has_text ? std::string_view(reply_->str, reply_->len) : std::string_view{};
}

std::int64_t Reply::integer() const {
    if (!reply_) return 0;
    if (reply_->type == REDIS_REPLY_INTEGER) return reply_->integer;
    std::int64_t value = 0;
    const std::string_view digits = text();
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

std::size_t Reply::size() const { return reply_ && reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0; }

Reply Reply::operator[](std::size_t index) const { return Reply(index < size() ? reply_->element[index] : nullptr); }

void ReplyReader::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }
void ReplyReader::Free::operator()(redisReply* reply) const { freeReplyObject(reply); }

ReplyReader::ReplyReader() : reader_(redisReaderCreate()) {
    if (!reader_) throw std::bad_alloc{};
}
ReplyReader::~ReplyReader() = default;

void ReplyReader::feed(std::string_view bytes) {
    // An error shows in next().
    redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

ReplyReader::State ReplyReader::next() {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return State::broken;
    reply_.reset(static_cast<redisReply*>(reply));
    return reply ? State::reply : State::incomplete;
}

}  // namespace rotagate::session::redis
