#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/load.hpp"

/// Any bytes make a configuration or mistakes with a place in the file, in bounded time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto loaded = rotagate::config::load_text(text, "fuzz.yaml", false);
    for (const auto* issues : {&loaded.errors, &loaded.warnings})
        for (const auto& issue : *issues)
            if (issue.line < 1 || issue.column < 1 || issue.message.find('\n') != std::string::npos) std::abort();
    if (loaded.ok() && loaded.config.listen.empty()) std::abort();
    return 0;
}
