#include "bench/plot.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace rotagate::bench {
namespace {

constexpr double width = 860, height = 260, left = 64, right = 16, top = 12, bottom = 40;

/// Where a point of the plot is in the picture.
struct Area {
    const Plot& plot;
    double x(double value) const { return left + plot.x.position(value) * (width - left - right); }
    double y(double value) const { return height - bottom - plot.y.position(value) * (height - top - bottom); }
};

using Out = std::back_insert_iterator<std::string>;

void draw_axes(Out out, const Plot& plot, const Area& area) {
    for (const auto& [value, label] : plot.y.ticks) {
        const double y = area.y(value);
        fmt::format_to(out, R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", left, width - right, y,
                       y);
        fmt::format_to(out, R"(<text x="{}" y="{:.1f}" text-anchor="end">{}</text>)", left - 8, y + 4, label);
    }
    for (const auto& [value, label] : plot.x.ticks) {
        const double x = area.x(value);
        fmt::format_to(out, R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>)", x, x, top,
                       height - bottom);
        fmt::format_to(out, R"(<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", x, height - bottom + 18,
                       label);
    }
    fmt::format_to(out, R"(<text class="label" x="{}" y="{}" text-anchor="end">{}</text>)", width - right, height - 4,
                   plot.x.label);
    fmt::format_to(
        out, R"svg(<text class="label" x="12" y="{}" text-anchor="middle" transform="rotate(-90 12 {})">{}</text>)svg",
        (height - bottom + top) / 2, (height - bottom + top) / 2, plot.y.label);
}

void draw_line(Out out, const Series& series, const Area& area) {
    if (series.points.size() == 1) {
        const auto& [x, y] = series.points.front();
        fmt::format_to(out, R"(<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>)", series.style, area.x(x),
                       area.y(y));
        return;
    }
    fmt::format_to(out, R"(<polyline class="{}" points=")", series.style);
    for (const auto& [x, y] : series.points) fmt::format_to(out, "{:.1f},{:.1f} ", area.x(x), area.y(y));
    fmt::format_to(out, R"("/>)");
}

void draw_bars(Out out, const Series& series, const Area& area) {
    const double base = height - bottom;
    double before = area.plot.x.low;
    for (const auto& [x, y] : series.points) {
        const double from = area.x(before), to = area.x(x), high = area.y(y);
        before = x;
        if (y <= 0) continue;
        fmt::format_to(out, R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)", series.style,
                       from, high, std::max(to - from - 0.5, 1.0), base - high);
    }
}

}  // namespace

double Axis::position(double value) const {
    const double part =
        logarithmic ? std::log(std::max(value, low) / low) / std::log(high / low) : (value - low) / (high - low);
    return std::clamp(part, 0.0, 1.0);
}

std::string short_number(double value) {
    if (value == 0) return "0";
    const int digits = 2 - static_cast<int>(std::floor(std::log10(std::abs(value))));
    std::string text = fmt::format("{:.{}f}", value, std::clamp(digits, 0, 9));
    if (text.find('.') == std::string::npos) return text;
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

Axis linear_axis(std::string label, double high, double low) {
    const double span = std::max(high - low, 1e-9);
    const double power = std::pow(10, std::floor(std::log10(span / 5)));
    double step = power;
    for (const double factor : {2.0, 5.0, 10.0})
        if (span / step > 7) step = power * factor;
    Axis axis{.label = std::move(label),
              .low = low,
              .high = std::max(std::ceil(high / step - 1e-9), 1.0) * step,
              .ticks = {}};
    const auto first = static_cast<int>(std::ceil(low / step - 1e-9));
    for (int i = first; i * step <= axis.high + step / 1000; ++i)
        axis.ticks.emplace_back(i * step, short_number(i * step));
    return axis;
}

Axis logarithmic_axis(std::string label, double low, double high) {
    const double least = std::floor(std::log10(std::max(low, 1e-3)));
    const double most = std::max(std::ceil(std::log10(std::max(high, 1e-3)) - 1e-9), least + 1);
    Axis axis{.label = std::move(label),
              .low = std::pow(10, least),
              .high = std::pow(10, most),
              .logarithmic = true,
              .ticks = {}};
    for (int i = static_cast<int>(least); i <= static_cast<int>(most); ++i)
        axis.ticks.emplace_back(std::pow(10, i), short_number(std::pow(10, i)));
    return axis;
}

std::string Plot::svg() const {
    const Area area{*this};
    std::string text;
    const Out out(text);
    fmt::format_to(out, R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)", width, height, title);
    if (x.low < shaded_until) {
        fmt::format_to(out, R"(<rect class="shade" x="{}" y="{}" width="{:.1f}" height="{}"/>)", left, top,
                       area.x(shaded_until) - left, height - top - bottom);
    }
    draw_axes(out, *this, area);
    for (const Series& one : series) {
        if (one.points.empty()) continue;
        if (one.bars) {
            draw_bars(out, one, area);
        } else {
            draw_line(out, one, area);
        }
    }
    text += "</svg>\n";
    return text;
}

}  // namespace rotagate::bench
