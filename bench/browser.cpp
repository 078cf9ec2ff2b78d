#include "bench/browser.hpp"

#include "bench/http1_client.hpp"
#include "bench/http2_client.hpp"

namespace rotagate::bench {

Browser::Browser(ClientLoop& loop) : loop_(loop) {
    if (!loop.settings().http2) return;
    for (std::size_t i = 0; i < loop.settings().targets.size(); ++i)
        http2_.push_back(std::make_shared<Http2Line>(loop));
}

std::unique_ptr<HttpClient> Browser::new_client() {
    if (http2_.empty()) return std::make_unique<Http1Client>(loop_);
    return std::make_unique<Http2Client>(loop_, http2_[turn_++ % http2_.size()]);
}

}  // namespace rotagate::bench
