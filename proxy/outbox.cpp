#include "proxy/outbox.hpp"

#include <boost/asio/post.hpp>

namespace rotagate::proxy {
namespace {

// More than this is not kept in the caches anyway.
constexpr std::size_t most_bytes = std::size_t{256} * 1024;

}  // namespace

void Outbox::commit(Sender& sender) {
    if (!entries_.empty() && entries_.back().sender == &sender) {
        entries_.back().size += bytes_.size() - committed_;
    } else {
        entries_.push_back({&sender, committed_, bytes_.size() - committed_});
    }
    committed_ = bytes_.size();
    if (committed_ >= most_bytes) return flush();
    if (in_turn_ || posted_) return;
    posted_ = true;
    asio::post(loop_, [this] {
        posted_ = false;
        flush();
    });
}

void Outbox::flush() {
    const std::string_view bytes = bytes_;
    for (const Entry& entry : entries_) entry.sender->send_now(bytes.substr(entry.begin, entry.size));
    entries_.clear();
    bytes_.erase(0, std::exchange(committed_, 0));
}

void Outbox::end_turn() {
    in_turn_ = false;
    flush();
}

}  // namespace rotagate::proxy
