#pragma once

#include <string>
#include <utility>
#include <vector>

namespace rotagate::bench {

/// One direction of a plot: what is shown from end to end, and where a line with a label stands.
struct Axis {
    std::string label;
    double low = 0, high = 1;
    bool logarithmic = false;  ///< then low > 0
    std::vector<std::pair<double, std::string>> ticks;

    double position(double value) const;  ///< 0 at `low`, 1 at `high`; beyond them it is cut
};

/// From 0 (or `low`) to a round number at or above `high`.
Axis linear_axis(std::string label, double high, double low = 0);
/// From a power of ten at or below `low` to one at or above `high`.
Axis logarithmic_axis(std::string label, double low, double high);

/// Values over x. `style` is a class of the page's stylesheet: s1, s2, ...
struct Series {
    std::string name, style;
    std::vector<std::pair<double, double>> points;
    bool bars = false;  ///< from the bottom, each as wide as the time since the point before
};

struct Plot {
    std::string title;
    Axis x, y;
    std::vector<Series> series;
    double shaded_until = 0;  ///< the warm-up: x below 0
    /// As an <svg> element, which scales with the page.
    std::string svg() const;
};

/// A number with three significant digits, and no exponent: "0.412", "12.3", "45600".
std::string short_number(double value);

}  // namespace rotagate::bench
