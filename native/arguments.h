// What Python hands over, as types, and checked: nothing of it may reach outside an array.
#pragma once
#include "training.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>

namespace nb = nanobind;
using namespace nb::literals;

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Grid = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
// Sparse rows (starts, columns, values) and the weights that they meet
template <class T>
using SparseTuple = std::tuple<In<int64_t>, In<int32_t>, In<T>,
                               nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>>;
// places, rows that have one of each slot, how many are taken; see Compact in compact.h
template <class T> using CompactTuple = std::tuple<Out<int32_t>, std::vector<Grid<T>>, Out<int64_t>>;
// kind, n_in, n_out, activation, keeps_t, size, own, skip, numbers, places, counts, rest; see Layer in net.h
using LayerTuple = std::tuple<int, size_t, size_t, int, bool, size_t, size_t, int64_t, std::vector<double>,
                              std::vector<int64_t>, std::vector<int64_t>, std::vector<int64_t>>;
constexpr int KINDS = 11;
// loss, smoothing, columns, targets, weights; see Wanted in net.h
template <class T> using WantedTuple = std::tuple<int, double, In<T>, Any, std::optional<In<T>>>;
// clip_value, clip_norm, l2, parts (start, stop, rate, decay), and for each step decay and share; see around.h
using PartTuple = std::tuple<size_t, size_t, double, double>;
using AroundTuple = std::tuple<double, double, double, std::vector<PartTuple>, In<double>, In<double>>;
// kind, first, second, epsilon, decay, momentum_decay, product; see Rule in rule.h
using Settings = std::tuple<int, double, double, double, double, double, double>;

inline void require(bool holds, const char *what) {
    if (!holds) throw std::invalid_argument(what);
}

template <class T>
Wanted<T> wanted_of(const Net &net, const WantedTuple<T> &given, size_t n) {
    const auto &[loss, smoothing, columns, y, weights] = given;
    require(loss >= 0 && loss < LOSS_COUNT && columns.size() == net.K, "unknown loss, or not a number for each output");
    require(!weights || weights->size() == n, "as many weights as rows");
    require(y.ndim() > 0 && y.shape(0) == n, "as many targets as rows");
    Wanted<T> found{(Loss)loss, (T)smoothing, columns.data(), nullptr, nullptr, weights ? weights->data() : nullptr};
    if (y.ndim() == 1 && !is_by_entry(found.loss)) {
        require(y.dtype() == nb::dtype<int64_t>(), "class indices are int64");
        found.index = (const int64_t *)y.data();
        return found;
    }
    require(y.ndim() == 2 && y.shape(1) == net.K && y.dtype() == nb::dtype<T>(), "target rows are (n, K)");
    found.rows = (const T *)y.data();
    return found;
}

inline void check_order(const In<int64_t> &order, size_t n) {
    for (size_t i = 0; i < order.size(); ++i)
        if ((uint64_t)order.data()[i] >= n) throw nb::index_error("a row number lies outside the data");
}

template <class T>
void check_labels(const Net &net, const Wanted<T> &wanted, size_t n, const int64_t *order, size_t count) {
    if (!wanted.index) return;
    for (size_t i = 0; i < count; ++i) {
        size_t row = order ? (size_t)order[i] : i;
        if (row >= n || (uint64_t)wanted.index[row] >= net.K)
            throw nb::index_error("a class index lies outside the outputs");
    }
}

// Checks the entries of `count` rows; `most` becomes the largest number of them in a batch.
template <class T>
Sparse<T> sparse_of(const Net &net, const std::optional<SparseTuple<T>> &given, size_t n, const int64_t *order,
                    size_t count, size_t batch, size_t &most, bool lazy = false) {
    if (!given) return {};
    const auto &[starts, columns, values, W] = *given;
    require(starts.size() == n + 1 && columns.size() == values.size(), "sparse rows of another length");
    require(W.shape(1) == net.layers.front().n_out && !net.n_in, "weights of another width");
    constexpr size_t AHEAD = 8;  // rows
    auto row_at = [&](size_t i) { return order ? (size_t)order[i] : i; };
    for (size_t i = 0, entries = 0; i < count; ++i) {
        if (i + 2 * AHEAD < count) fetch(starts.data() + row_at(i + 2 * AHEAD), LINE);
        if (i + AHEAD < count) fetch(columns.data() + starts.data()[row_at(i + AHEAD)], LINE);
        size_t row = row_at(i);
        int64_t from = starts.data()[row], to = starts.data()[row + 1];
        require(0 <= from && from <= to && (uint64_t)to <= columns.size(), "a row of sparse data lies outside them");
        bool outside = false;
        for (int64_t e = from; e < to; ++e) outside |= (uint32_t)columns.data()[e] >= W.shape(0);
        if (outside) throw nb::index_error("a column lies outside the rows");
        entries = (i % batch ? entries : 0) + (size_t)(to - from);
        most = std::max(most, entries);
    }
    return {starts.data(), columns.data(), values.data(), W.shape(0), W.shape(1), W.data(), lazy, nullptr, nullptr};
}

template <class T>
Weights<T> table_of_weights(const Sparse<T> &rows, const std::vector<Grid<T>> &tables, size_t slots) {
    if (!rows.starts) return {};
    require(tables.size() == slots + 1, "the first layer's weights and one table for each slot");
    for (const auto &t : tables) require(t.shape(0) == rows.d && t.shape(1) == rows.n_out, "tables shaped as W");
    return {tables[0].data(), slots > 0 ? tables[1].data() : nullptr, slots > 1 ? tables[2].data() : nullptr};
}

// The places of rows that a lazy rule's vectors have beside the table; `kept` holds them as long as the call lasts.
template <class T>
Compact<T> *compact_of(std::optional<Compact<T>> &kept, const std::optional<CompactTuple<T>> &given,
                       const Sparse<T> &rows, const Weights<T> &table) {
    if (!given) return nullptr;
    const auto &[places, near, used] = *given;
    require(rows.lazy && table.v && near.size() == 2 && places.size() == rows.d && used.size() == 2,
            "places of rows are those of a lazy rule's two vectors");
    size_t room = near[0].shape(0);
    for (const auto &vector : near)
        require(vector.shape(0) == room && vector.shape(1) == rows.n_out, "rows with a place are as wide as the table's");
    require(used.data()[0] >= 0 && (size_t)used.data()[0] <= room, "more places taken than there are");
    return &kept.emplace(places.data(), near[0].data(), near[1].data(), table.u, table.v, rows.n_out, room, used.data());
}

template <class T>
Rule<T> rule_of(const Net &net, const Settings &settings, const In<double> &rates, int64_t t, Out<T> &w,
                const std::vector<Out<T>> &slots) {
    auto [kind, first, second, epsilon, decay, momentum_decay, product] = settings;
    size_t needed = kind == descent_rule ? 0 : kind < adam_rule ? 1 : 2;
    require(kind >= 0 && kind < RULE_COUNT && slots.size() == needed, "a state of another rule");
    for (const auto &slot : slots) require(slot.size() == net.size, "a state of another length");
    T *u = needed > 0 ? slots[0].data() : nullptr, *v = needed > 1 ? slots[1].data() : nullptr;
    return {kind, first, second, epsilon, decay, momentum_decay, product, rates.data(), w.data(), u, v, t};
}

template <class T>
Around<T> around_of(const Net &net, const std::optional<AroundTuple> &given, std::optional<Out<T>> &average, size_t steps,
                    std::optional<Out<double>> &penalties) {
    Around<T> a;
    require(!penalties || (given && penalties->size() == steps), "one penalty for each step with a decay around it");
    if (!given) return a;
    const auto &[clip_value, clip_norm, l2, parts, decays, shares] = *given;
    require(decays.size() == steps && shares.size() == steps, "one decay and one share for each step");
    require(!average || average->size() == net.size, "an average of another length");
    a.used = true, a.clip_value = clip_value, a.clip_norm = clip_norm, a.l2 = l2;
    for (auto [start, stop, rate, decay] : parts) {
        require(start <= stop && stop <= net.size, "a part lies outside the parameters");
        a.parts.push_back({start, stop, rate, decay, {}, 1});
    }
    a.decays = decays.data(), a.shares = shares.data(), a.average = average ? average->data() : nullptr;
    for (size_t i = 0; i < steps; ++i) require(average || shares.data()[i] == 0, "a share of no average");
    if (penalties) a.penalties = penalties->data();
    if (a.bounds_norm()) a.gradient = buffer<T>(net.size);
    if (a.bounds_norm() || a.penalties) a.squares = buffer<double>(net.size / UPDATE_BLOCK + 1);
    return a;
}
