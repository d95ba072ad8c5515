// Places for the boxes of a graph, after Sugiyama: layers by the longest way to each node, long lines led
// through the layers between, an order within layers that has few crossings, then columns near those of the
// neighbours.
#include "core/report/graph.hpp"
#include "core/report/text.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pipes {
namespace {

constexpr std::size_t kWidest = 6;      // nodes in a layer
constexpr std::size_t kBends = 40'000;  // places where lines cross layers; more, and they go straight
constexpr std::size_t kLarge = 1'000;   // nodes: beyond it fewer rounds are made
constexpr double kCharacter = 7.4, kDetail = 6.4, kPadding = 14;
constexpr double kHeight = 46, kLayerGap = 34, kBoxGap = 22, kBendGap = 14, kMargin = 20, kNarrowest = 90,
                 kFinallyGap = 40;

/// A node, or the place where a line crosses a layer.
struct Point {
  std::size_t layer = 0;
  double half = 0, x = 0;  // half its width; its middle
  std::vector<std::size_t> above, below;
  bool is_bend = false;
};

class Layers {
 public:
  explicit Layers(const StepGraph &graph) : graph_(graph), points_(graph.nodes.size()) {}

  GraphLayout make() {
    choose_layers();
    lead_lines();
    const int rounds = points_.size() > kLarge ? 2 : 12;
    fill_layers();
    for (int i = 0; i < rounds; ++i) sort_layers(i % 2 == 0);
    place_evenly();
    for (int i = 0; i < rounds; ++i) pull(i % 2 == 0);
    return layout();
  }

 private:
  /// A node comes below all that it waits for; where a layer is full, further down.
  void choose_layers() {
    std::vector<std::size_t> used, next;  // next: where to look on from a layer that is full
    for (const bool in_finally : {false, true}) {
      const std::size_t first = used.size();
      if (in_finally) finally_layer_ = first;
      for (const std::uint32_t node : graph_.order) {
        if (graph_.nodes[node].is_finally != in_finally) continue;
        std::size_t layer = first;
        for (const std::uint32_t need : graph_.nodes[node].needs)
          layer = std::max(layer, points_[need].layer + 1);
        const std::size_t wanted = layer;
        while (layer < used.size() && used[layer] >= kWidest) layer = std::max(layer + 1, next[layer]);
        if (layer >= used.size()) {
          used.resize(layer + 1);
          next.resize(layer + 1);
        }
        if (wanted < layer) next[wanted] = layer;
        ++used[layer];
        points_[node].layer = layer;
        points_[node].half =
            std::max(
                kNarrowest,
                (2 * kPadding +
                 std::max(kCharacter * static_cast<double>(width(fit(box_title(graph_.nodes[node]), 28))),
                          kDetail * static_cast<double>(width(fit(box_detail(graph_.nodes[node]), 32)))))) /
            2;
      }
    }
    layers_.resize(used.size());
    if (finally_layer_ == used.size()) finally_layer_ = 0;
  }

  void lead_lines() {
    std::size_t bends = 0;
    for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      for (const std::uint32_t need : graph_.nodes[i].needs)
        bends += points_[i].layer - points_[need].layer - 1;
    }
    for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      for (const std::uint32_t need : graph_.nodes[i].needs) {
        std::vector<std::size_t> way{need};
        for (std::size_t layer = points_[need].layer + 1; bends <= kBends && layer < points_[i].layer;
             ++layer) {
          way.push_back(points_.size());
          points_.push_back({layer, 1, 0, {}, {}, true});
        }
        way.push_back(i);
        for (std::size_t at = 0; at + 1 < way.size(); ++at) {
          points_[way[at]].below.push_back(way[at + 1]);
          points_[way[at + 1]].above.push_back(way[at]);
        }
        lines_.push_back(std::move(way));
      }
    }
  }

  /// To begin with, as the graph is walked: what hangs together stands together.
  void fill_layers() {
    for (const std::uint32_t node : graph_.order) layers_[points_[node].layer].push_back(node);
    for (std::size_t i = graph_.nodes.size(); i < points_.size(); ++i) layers_[points_[i].layer].push_back(i);
    rank_.resize(points_.size());
    for (const auto &layer : layers_) number(layer);
  }

  void number(const std::vector<std::size_t> &layer) {
    for (std::size_t i = 0; i < layer.size(); ++i) rank_[layer[i]] = static_cast<double>(i);
  }

  void sort_layers(bool downwards) {
    for (std::size_t n = 0; n < layers_.size(); ++n) {
      std::vector<std::size_t> &layer = layers_[downwards ? n : layers_.size() - 1 - n];
      std::vector<std::pair<double, std::size_t>> wanted;
      for (const std::size_t point : layer) {
        const auto &others = downwards ? points_[point].above : points_[point].below;
        double sum = 0;
        for (const std::size_t other : others) sum += rank_[other];
        wanted.emplace_back(others.empty() ? rank_[point] : sum / static_cast<double>(others.size()), point);
      }
      std::ranges::stable_sort(wanted, {}, &std::pair<double, std::size_t>::first);
      for (std::size_t i = 0; i < layer.size(); ++i) layer[i] = wanted[i].second;
      number(layer);
    }
  }

  double apart(std::size_t left, std::size_t right) const {
    const bool is_bend = points_[left].is_bend || points_[right].is_bend;
    return points_[left].half + points_[right].half + (is_bend ? kBendGap : kBoxGap);
  }

  void place_evenly() {
    for (const auto &layer : layers_) {
      double x = 0;
      for (std::size_t i = 0; i < layer.size(); ++i) {
        if (i > 0) x += apart(layer[i - 1], layer[i]);
        points_[layer[i]].x = x;
      }
      for (const std::size_t point : layer) points_[point].x -= x / 2;
    }
  }

  /// Moves each layer to where its neighbours are, as near as its order and distances allow: blocks of points
  /// that touch lie at the mean of what they want.
  void pull(bool downwards) {
    for (std::size_t n = 0; n < layers_.size(); ++n) {
      const std::vector<std::size_t> &layer = layers_[downwards ? n : layers_.size() - 1 - n];
      struct Block {
        double sum = 0, weight = 0;  // of what its points want, less their distance from its first
        std::size_t first = 0;
        double at() const { return sum / weight; }
      };
      std::vector<Block> blocks;
      std::vector<double> offset(layer.size());  // from the first of the layer, all touching
      for (std::size_t i = 0; i < layer.size(); ++i) {
        offset[i] = i == 0 ? 0 : offset[i - 1] + apart(layer[i - 1], layer[i]);
        const Point &point = points_[layer[i]];
        const auto &others = downwards ? point.above : point.below;
        double wanted = point.x;
        if (!others.empty()) {
          wanted = 0;
          for (const std::size_t other : others)
            wanted += points_[other].x / static_cast<double>(others.size());
        }
        const double weight = others.empty() ? 0.1 : point.is_bend ? 2 : 1;
        blocks.push_back({(wanted - offset[i]) * weight, weight, i});
        while (blocks.size() > 1 && blocks[blocks.size() - 2].at() > blocks.back().at()) {
          const Block last = blocks.back();
          blocks.pop_back();
          blocks.back().sum += last.sum;
          blocks.back().weight += last.weight;
        }
      }
      for (std::size_t b = 0; b < blocks.size(); ++b) {
        const std::size_t end = b + 1 < blocks.size() ? blocks[b + 1].first : layer.size();
        for (std::size_t i = blocks[b].first; i < end; ++i) points_[layer[i]].x = blocks[b].at() + offset[i];
      }
    }
  }

  double top(std::size_t layer) const {
    const bool is_below = finally_layer_ > 0 && layer >= finally_layer_;
    return kMargin + static_cast<double>(layer) * (kHeight + kLayerGap) + (is_below ? kFinallyGap : 0);
  }

  GraphLayout layout() const {
    GraphLayout result;
    double left = 0, right = 0;
    for (const Point &point : points_) {
      left = std::min(left, point.x - point.half);
      right = std::max(right, point.x + point.half);
    }
    const double shift = kMargin - left;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Point &point = points_[i];
      result.boxes.push_back({point.x - point.half + shift, top(point.layer), 2 * point.half, kHeight});
    }
    for (const auto &way : lines_) {
      GraphLayout::Line line;
      line.from = static_cast<std::uint32_t>(way.front());
      line.to = static_cast<std::uint32_t>(way.back());
      for (std::size_t i = 1; i + 1 < way.size(); ++i) {
        line.points.emplace_back(points_[way[i]].x + shift, top(points_[way[i]].layer));
      }
      result.lines.push_back(std::move(line));
    }
    result.width = right - left + 2 * kMargin;
    result.height = layers_.empty() ? 2 * kMargin : top(layers_.size() - 1) + kHeight + kMargin;
    if (finally_layer_ > 0) result.finally_y = top(finally_layer_) - kFinallyGap / 2 - kLayerGap / 2;
    return result;
  }

  const StepGraph &graph_;
  std::vector<Point> points_;  // nodes first
  std::vector<std::vector<std::size_t>> layers_, lines_;
  std::vector<double> rank_;
  std::size_t finally_layer_ = 0;
};

}  // namespace

GraphLayout lay_out(const StepGraph &graph) {
  return Layers(graph).make();
}

}  // namespace pipes
