#include "config/report.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace rotagate::config {
namespace {

std::vector<Issue> by_line(std::vector<Issue> issues) {
    std::stable_sort(issues.begin(), issues.end(), [](const Issue& a, const Issue& b) {
        return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return issues;
}

/// Levenshtein's: how many letters to insert, remove or replace.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string Issue::text() const {
    return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

void Report::error(Position at, std::string message) {
    errors_.push_back({file_, at.line, at.column, std::move(message)});
    if (errors_.size() >= max_errors) throw Full{};
}

void Report::warning(Position at, std::string message) {
    if (warnings_.size() >= max_errors) return;
    warnings_.push_back({file_, at.line, at.column, std::move(message)});
}

std::vector<Issue> Report::errors() const { return by_line(errors_); }
std::vector<Issue> Report::warnings() const { return by_line(warnings_); }

std::string without_credentials(std::string_view value) {
    const auto at = value.rfind('@');
    if (at == std::string_view::npos) return std::string(value);
    const auto scheme = value.substr(0, at).find("://");
    const auto shown = scheme == std::string_view::npos ? 0 : scheme + 3;
    return std::string(value.substr(0, shown)) + "***" + std::string(value.substr(at));
}

std::string in_quotes(std::string_view value) {
    constexpr std::size_t longest = 60;
    std::string shown = without_credentials(value);
    if (shown.size() > longest) {
        std::size_t end = longest;
        while (end > 0 && (static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) --end;
        shown = shown.substr(0, end) + "…";
    }
    for (char& c : shown)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return "'" + shown + "'";
}

std::string listed(const std::vector<std::string>& words, std::string_view conjunction) {
    std::string list;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) list += i + 1 < words.size() ? ", " : " " + std::string(conjunction) + " ";
        list += words[i];
    }
    return list;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    constexpr std::size_t longest = 64, most = 100;  // so that a hostile file costs no time
    if (word.size() > longest) return {};
    const std::string* closest = nullptr;
    std::size_t best = word.size() < 4 ? 2 : std::max<std::size_t>(2, word.size() / 3) + 1;  // further off is no guess
    for (std::size_t i = 0; i < std::min(most, candidates.size()); ++i) {
        if (candidates[i].size() > longest) continue;
        const std::size_t distance = edit_distance(word, candidates[i]);
        if (distance < best) best = distance, closest = &candidates[i];
    }
    return closest ? " did you mean " + *closest + "?" : "";
}

}  // namespace rotagate::config
