#include "proxy/access_log.hpp"

#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "proxy/log_line.hpp"

namespace rotagate::proxy {

namespace {

/// Which file it is, whatever it is called by now; none: there is no such file.
using FileId = std::optional<std::pair<dev_t, ino_t>>;

FileId file_id(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return std::nullopt;
    return std::make_pair(status.st_dev, status.st_ino);
}

/// What writes to `target`; logs with the same target share it, so that their lines never mix. A file that was moved
/// away, as logrotate does, is left to those who have it.
spdlog::sink_ptr sink_for(const std::string& target) {
    struct Open {
        std::weak_ptr<spdlog::sinks::sink> sink;
        FileId file;
    };
    static std::mutex mutex;
    static std::map<std::string, Open> open;
    const std::lock_guard lock{mutex};
    const bool is_file = target != "stdout";
    if (const auto known = open.find(target); known != open.end()) {
        auto sink = known->second.sink.lock();
        if (sink && (!is_file || file_id(target) == known->second.file)) return sink;
    }
    spdlog::sink_ptr sink;
    if (is_file) {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(target);
    } else {
        // Not spdlog's stdout sink: that flushes every line, which is a system call for each request.
        sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cout);
    }
    sink->set_pattern("%v");
    open[target] = {sink, is_file ? file_id(target) : std::nullopt};
    return sink;
}

/// @param setting  the name of the setting that says `target`
/// @return null where the target is "off"
std::shared_ptr<spdlog::logger> open_log(const std::string& setting, const std::string& target) {
    if (target == "off") return nullptr;
    try {
        return std::make_shared<spdlog::logger>(setting, sink_for(target));
    } catch (const spdlog::spdlog_ex& e) {
        throw std::runtime_error("log." + setting + ": cannot write '" + target + "': " + e.what());
    }
}

std::chrono::milliseconds wall_clock() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
}

/// Room for one line, kept by each thread.
fmt::memory_buffer& line_buffer() {
    thread_local fmt::memory_buffer buffer;
    return buffer;
}

void put(spdlog::logger& logger, std::string_view line) {
    logger.log(spdlog::level::info, spdlog::string_view_t{line.data(), line.size()});
}

std::string_view event_name(SecurityEvent::Kind kind) {
    switch (kind) {
        case SecurityEvent::Kind::started:
            return "session_started";
        case SecurityEvent::Kind::ended:
            return "session_ended";
        case SecurityEvent::Kind::refused:
            return "session_refused";
    }
    return "";
}

}  // namespace

void set_process_log_level(config::LogLevel level) {
    switch (level) {
        case config::LogLevel::debug:
            return spdlog::set_level(spdlog::level::debug);
        case config::LogLevel::info:
            return spdlog::set_level(spdlog::level::info);
        case config::LogLevel::warn:
            return spdlog::set_level(spdlog::level::warn);
        case config::LogLevel::error:
            return spdlog::set_level(spdlog::level::err);
    }
}

void setup_process_log(const config::Log& settings) {
    auto logger = std::make_shared<spdlog::logger>("rotagate", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    spdlog::set_default_logger(std::move(logger));
    set_process_log_level(settings.level);
}

AccessLog::AccessLog(const config::Log& settings)
    : logger_{open_log("access", settings.access)}, json_{settings.format == config::LogFormat::json} {}

void AccessLog::write(const RequestRecord& request) {
    if (!logger_) return;
    LogLine line{line_buffer(), json_, wall_clock()};
    line.text("request_id", request.request_id)
        .text("client", request.client)
        .text("method", request.method)
        .text("host", request.host)
        .text("path", request.path)
        .text("protocol", request.protocol)
        .number("status", request.status)
        .text("reason", request.reason)
        .text("user", request.user)
        .text("org", request.org)
        .text("session", request.session)
        .text("upstream", request.upstream)
        .text("server", request.server)
        .number("bytes_in", request.bytes_in)
        .number("bytes_out", request.bytes_out)
        .milliseconds("duration_ms", request.duration);
    if (request.store_duration.count() > 0) line.milliseconds("store_ms", request.store_duration);
    put(*logger_, line.end());
}

void AccessLog::flush() {
    if (logger_) logger_->flush();
}

SecurityLog::SecurityLog(const config::Log& settings)
    : logger_{open_log("security", settings.security)}, json_{settings.format == config::LogFormat::json} {
    if (logger_) logger_->flush_on(spdlog::level::info);
}

void SecurityLog::write(const SecurityEvent& event, LoopMetrics& metrics) {
    const auto reason = static_cast<std::size_t>(event.reason);
    switch (event.kind) {
        case SecurityEvent::Kind::started:
            metrics.started[reason].add();
            break;
        case SecurityEvent::Kind::ended:
            metrics.ended[reason].add();
            break;
        case SecurityEvent::Kind::refused:
            metrics.refused[reason].add();
            break;
    }
    if (!logger_) return;
    LogLine line{line_buffer(), json_, wall_clock()};
    line.text("event", event_name(event.kind))
        .text("reason", reason_name(event.reason))
        .text("user", event.user)
        .text("org", event.org)
        .text("session", event.session)
        .text("client", event.client)
        .text("request_id", event.request_id)
        .text("detail", event.detail);
    put(*logger_, line.end());
}

}  // namespace rotagate::proxy
