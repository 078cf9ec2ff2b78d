#include "config/units.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace rotagate::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr std::array<Unit, 5> duration_units{{{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 4> size_units{{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"", 1}}};

struct Number {
    std::uint64_t value;
    std::string_view unit;  ///< what follows the digits
};

std::optional<Number> leading_number(std::string_view text) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, failed] = std::from_chars(text.data(), end, value);
    if (failed != std::errc{}) return std::nullopt;
    return Number{value, {rest, static_cast<std::size_t>(end - rest)}};
}

/// @return none where the unit is none of `units`, or the product does not fit
template <std::size_t N>
std::optional<std::uint64_t> in_units(const Number& number, const std::array<Unit, N>& units) {
    for (const Unit& unit : units) {
        if (unit.name != number.unit) continue;
        if (number.value > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
        return number.value * unit.factor;
    }
    return std::nullopt;
}

template <std::size_t N>
std::string in_largest_unit(std::uint64_t value, const std::array<Unit, N>& units) {
    if (value == 0) return "0";
    for (const Unit& unit : units)
        if (value % unit.factor == 0) return std::to_string(value / unit.factor) + std::string(unit.name);
    return std::to_string(value);
}

std::string range(bool zero, const std::string& min, const std::string& max) {
    return (zero ? "0, or " : "") + min + " to " + max;
}

std::string range(const DurationForm& form) {
    const std::string lowest = text_of(form.min);
    if (form.max == ten_years) return (form.zero ? "0, or at least " : "at least ") + lowest;
    return range(form.zero, lowest, text_of(form.max));
}

}  // namespace

std::string text_of(Duration duration) {
    return in_largest_unit(static_cast<std::uint64_t>(duration.count()), duration_units);
}

std::string text_of_size(std::uint64_t size) { return in_largest_unit(size, size_units); }

Parsed<Duration> DurationForm::operator()(std::string_view text) const {
    const auto number = leading_number(text);
    if (number && number->value == 0 && zero && (number->unit.empty() || in_units(*number, duration_units)))
        return Duration::zero();
    if (number && number->unit.empty())
        return Refusal{"has no unit; write ms, s, m, h or d behind it (" + range(*this) + ")"};
    const auto value = number ? in_units(*number, duration_units) : std::nullopt;
    if (!value) return Refusal{"is not a duration; write 30s, 15m or 12h (" + range(*this) + ")"};
    const Duration duration(static_cast<Duration::rep>(*value));
    if (duration < min) return Refusal{"is too short; write " + range(*this)};
    if (duration > max) return Refusal{"is too long; write " + range(zero, text_of(min), text_of(max))};
    return duration;
}

Parsed<std::uint64_t> SizeForm::operator()(std::string_view text) const {
    const std::string accepted = range(zero, text_of_size(min), text_of_size(max));
    const auto number = leading_number(text);
    const auto value = number ? in_units(*number, size_units) : std::nullopt;
    if (!value) return Refusal{"is not a size; write 32KiB, 1MiB or a number of bytes (" + accepted + ")"};
    if (*value == 0 && zero) return *value;
    if (*value < min) return Refusal{"is too small; write " + accepted};
    if (*value > max) return Refusal{"is too large; write " + accepted};
    return *value;
}

Parsed<std::uint64_t> CountForm::operator()(std::string_view text) const {
    const std::string accepted = std::to_string(min) + " to " + std::to_string(max);
    const auto number = leading_number(text);
    if (!number || !number->unit.empty()) return Refusal{"is not a whole number; write " + accepted};
    if (number->value < min || number->value > max) return Refusal{"is out of range; write " + accepted};
    return number->value;
}

Refusal not_among(const std::vector<std::string>& words, std::string_view text) {
    const std::string guess = did_you_mean(text, words);
    return {"is not " + std::string(words.size() > 1 ? "one of " : "") + listed(words, "or") +
            (guess.empty() ? "" : ";" + guess)};
}

}  // namespace rotagate::config
