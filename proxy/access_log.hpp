#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/metrics.hpp"
#include "proxy/record.hpp"
#include "session/session.hpp"

namespace spdlog {
class logger;
}

namespace rotagate::proxy {

/// Sets up the process's own log (spdlog's default logger, on stderr): an event and its fields, one a line.
void setup_process_log(const config::Log& settings);
/// From any thread, while it is in use.
void set_process_log_level(config::LogLevel level);

/// One line per request. Thread-safe. Lines are buffered and reach the file within a second. Copies write to the same;
/// the last closes the file.
class AccessLog {
public:
    /// Throws std::runtime_error where the file cannot be written.
    explicit AccessLog(const config::Log& settings);
    bool enabled() const { return logger_ != nullptr; }
    void write(const RequestRecord& request);
    void flush();

private:
    std::shared_ptr<spdlog::logger> logger_;
    bool json_;
};

/// A start, an end or a refusal of a session.
struct SecurityEvent {
    enum class Kind { started, ended, refused };
    Kind kind;
    Reason reason;
    std::string_view user{}, org{};  ///< as the app named them; empty: not known
    std::string_view session{};      ///< SessionId::log_name(); empty: not known
    std::string_view client{};       ///< the client's address; "-" where nobody asked (an expiry)
    std::string_view request_id{};
    std::string_view detail{};  ///< more for the operator, such as what has to be done
};

/// One line per event, written at once; counts the event too. Thread-safe; copies as of AccessLog.
class SecurityLog {
public:
    explicit SecurityLog(const config::Log& settings);
    /// @param metrics  of the calling thread
    void write(const SecurityEvent& event, LoopMetrics& metrics);

private:
    std::shared_ptr<spdlog::logger> logger_;
    bool json_;
};

}  // namespace rotagate::proxy
