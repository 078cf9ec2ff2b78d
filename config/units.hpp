#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "config/reader.hpp"

/// The forms of plain values: durations, sizes, counts and choices, each with its range.
namespace rotagate::config {

/// A number and one of ms s m h d. A bare 0 is fine where 0 is allowed.
struct DurationForm {
    Duration min;
    Duration max;
    bool zero = false;  ///< 0 is allowed too
    Parsed<Duration> operator()(std::string_view text) const;
};
inline constexpr Duration ten_years = 24h * 3650;
constexpr DurationForm at_least(Duration min) { return {min, ten_years}; }
constexpr DurationForm between(Duration min, Duration max) { return {min, max}; }

/// A number of bytes, or of KiB, MiB or GiB.
struct SizeForm {
    std::uint64_t min;
    std::uint64_t max;
    bool zero = false;
    Parsed<std::uint64_t> operator()(std::string_view text) const;
};
constexpr SizeForm bytes(std::uint64_t min, std::uint64_t max) { return {min, max}; }

/// A whole number.
struct CountForm {
    std::uint64_t min;
    std::uint64_t max;
    Parsed<std::uint64_t> operator()(std::string_view text) const;
};
constexpr CountForm count(std::uint64_t min, std::uint64_t max) { return {min, max}; }

template <class Form>
constexpr Form zero_or(Form form) {
    form.zero = true;
    return form;
}

/// One of a few words, each for a value.
template <class T>
struct ChoiceForm {
    std::vector<std::pair<std::string, T>> words;
    Parsed<T> operator()(std::string_view text) const;
};
template <class T>
ChoiceForm<T> one_of(std::initializer_list<std::pair<std::string, T>> words) {
    return {words};
}

/// "60s" is "1m": in the largest unit that keeps it whole.
std::string text_of(Duration duration);
/// Likewise: 1048576 is "1MiB".
std::string text_of_size(std::uint64_t size);

/// The refusal of a word that is not among `words`.
Refusal not_among(const std::vector<std::string>& words, std::string_view text);

template <class T>
Parsed<T> ChoiceForm<T>::operator()(std::string_view text) const {
    std::vector<std::string> names;
    for (const auto& [word, value] : words) {
        if (word == text) return value;
        names.push_back(word);
    }
    return not_among(names, text);
}

}  // namespace rotagate::config
