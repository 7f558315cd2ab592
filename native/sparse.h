// Sparse rows in the first layer: what a step costs follows the entries that are stored, not the number of columns.
//
// The rows meet W (d, n_out) alone; biases and all further layers are a network of their own, whose first layer has no
// inputs but its pre-activations given. X (n, d) sparse rows of the batch, D (n, n_out) the gradient in the first
// layer's pre-activations: T = X W + b row by row, and dW = X^T D column by column, each in the batch's order, so that
// no sum depends on how the work is shared. Columns that do not occur are not looked at.
#pragma once
#include "kernels.h"
#include "memory.h"
#include "pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

// All rows of a data set, and what the batch at hand makes of them.
template <class T> struct Sparse {
    const int64_t *starts;
    const int32_t *columns;
    const T *values;
    size_t d, n_out;
    const T *W;
    T *D;  // of the whole batch
};

// The first layer's weights and slots as a rule changes them; `lazy` leaves alone the rows without a gradient.
template <class T> struct Weights {
    T *w, *u, *v;
    bool lazy;
};

template <class T> void fetch_entries(const Sparse<T> &s, size_t row) {
    fetch(s.columns + s.starts[row], LINE), fetch(s.values + s.starts[row], LINE);
}

// The entries of one batch by columns, ascending, and within a column in the batch's order.
template <class T> class Columns {
  public:
    static constexpr size_t TASKS = Pool::TASKS;  // that share an update, at most

    void reserve(size_t entries, size_t n_out) {
        if (entries > capacity_ || !counts_) {
            for (auto *kept : {&from_, &into_}) *kept = buffer<Entry>(entries);
            rows_ = buffer<int32_t>(entries), values_ = buffer<T>(entries);
            names_ = buffer<int32_t>(entries), begins_ = buffer<size_t>(entries + 1), turns_ = buffer<int32_t>(entries);
            counts_ = buffer<size_t>(DIGITS);
            capacity_ = entries;
        }
        if (n_out > width_) sums_ = buffer<T>(TASKS * n_out), width_ = n_out;
    }

    // Sorts by digits of the column number, the last first: stable, and as long as there are entries.
    void sort(const Sparse<T> &s, const int64_t *order, size_t n) {
        constexpr size_t AHEAD = 4;
        size_t size = 0;
        for (size_t i = 0; i < n; ++i) {
            size_t row = order ? (size_t)order[i] : i;
            if (i + AHEAD < n) fetch_entries(s, order ? (size_t)order[i + AHEAD] : i + AHEAD);
            for (int64_t e = s.starts[row]; e < s.starts[row + 1]; ++e)
                from_[size++] = {s.columns[e], (int32_t)i, s.values[e]};
        }
        for (int shift = 0; shift < 32 && (s.d - 1) >> shift; shift += BITS) sort_by(shift, size);
        spread(size);
        share_out();
    }

    size_t count() const { return count_; }
    size_t size() const { return begins_[count_]; }
    size_t name(size_t k) const { return (size_t)names_[k]; }
    size_t first_from(size_t column) const {
        return (size_t)(std::lower_bound(names_.get(), names_.get() + count_, (int32_t)column) - names_.get());
    }
    // Calls f(k, that of `later` calls on) for the columns that task i of `tasks` takes where only those are stepped that
    // occur. Their numbers say which, so that each thread meets its own rows again, and frequent ones stand between rare
    // ones, whose weights come from far away.
    template <class F> void for_task(size_t i, size_t tasks, size_t later, F &&f) const {
        size_t end = shares_[(i + 1) * TASKS / tasks];
        for (size_t at = shares_[i * TASKS / tasks]; at < end; ++at)
            f((size_t)turns_[at], (size_t)turns_[std::min(at + later, end - 1)]);
    }
    T *scratch(size_t task) { return sums_.get() + task * width_; }

    // out (n_out) <- row `name(k)` of X^T D
    void gradient(T *out, size_t k, const Sparse<T> &s) const {
        size_t at = begins_[k];
        Entries<T> entries{rows_.get() + at, values_.get() + at, begins_[k + 1] - at};
        entries_of<T>(kernels()).combine(out, s.D, entries, s.n_out, s.n_out);
    }

  private:
    struct Entry {
        int32_t column, row;
        T value;
    };
    static constexpr int BITS = 11;
    static constexpr size_t DIGITS = (size_t)1 << BITS;

    Buffer<Entry> from_, into_;
    Buffer<int32_t> rows_, names_, turns_;
    size_t shares_[TASKS + 1] = {};
    Buffer<T> values_, sums_;
    Buffer<size_t> begins_, counts_;
    size_t capacity_ = 0, width_ = 0, count_ = 0;

    void sort_by(int shift, size_t size) {
        auto digit = [shift](const Entry &e) { return ((size_t)e.column >> shift) & (DIGITS - 1); };
        std::fill_n(counts_.get(), DIGITS, (size_t)0);
        for (size_t e = 0; e < size; ++e) ++counts_[digit(from_[e])];
        size_t at = 0;
        for (size_t c = 0; c < DIGITS; ++c) at += std::exchange(counts_[c], at);
        for (size_t e = 0; e < size; ++e) into_[counts_[digit(from_[e])]++] = from_[e];
        std::swap(from_, into_);
    }

    void spread(size_t size) {
        count_ = 0;
        for (size_t e = 0; e < size; ++e) {
            rows_[e] = from_[e].row, values_[e] = from_[e].value;
            if (e && from_[e].column == from_[e - 1].column) continue;
            names_[count_] = from_[e].column, begins_[count_++] = e;
        }
        begins_[count_] = size;
    }

    void share_out() {
        static_assert(TASKS == 32, "five bits of a product by a number without a pattern");
        size_t beside = 1;  // rows of the table that are shorter than cache lines stay together
        while (beside * width_ * sizeof(T) < 2 * LINE) beside *= 2;
        auto share = [&](size_t k) { return (uint32_t)(name(k) / beside) * 0x9e3779b1u >> 27; };
        size_t counts[TASKS] = {};
        for (size_t k = 0; k < count_; ++k) ++counts[share(k)];
        for (size_t i = 0; i < TASKS; ++i) shares_[i + 1] = shares_[i] + counts[i], counts[i] = shares_[i];
        for (size_t k = 0; k < count_; ++k) turns_[counts[share(k)]++] = (int32_t)k;
    }
};

// -- the first layer ---------------------------------------------------------------------------------------------

// out (n, n_out) <- X W for rows [from, from + n) of the batch; entries to come are fetched early, and their weights
template <class T> void sparse_rows(T *out, const Sparse<T> &s, const int64_t *order, size_t from, size_t n) {
    constexpr size_t AHEAD = 3;  // rows
    auto row = [&](size_t i) { return order ? (size_t)order[from + i] : from + i; };
    for (size_t i = 0; i < n; ++i) {
        if (i + 2 * AHEAD < n) fetch_entries(s, row(i + 2 * AHEAD));
        if (i + AHEAD < n) {
            size_t soon = row(i + AHEAD);
            for (int64_t e = s.starts[soon]; e < s.starts[soon + 1]; ++e)
                fetch(s.W + (size_t)s.columns[e] * s.n_out, s.n_out * sizeof(T));
        }
        int64_t at = s.starts[row(i)];
        Entries<T> entries{s.columns + at, s.values + at, (size_t)(s.starts[row(i) + 1] - at)};
        entries_of<T>(kernels()).combine(out + i * s.n_out, s.W, entries, s.n_out, s.n_out);
    }
}

// -- updates -----------------------------------------------------------------------------------------------------

template <class T> using Step = void (*)(T *w, T *u, T *v, const T *g, size_t count, const Scalars<T> &s);

// One step of a rule on the stretch of the table that begins at entry `at`.
template <class T> void step_at(const Weights<T> &t, Step<T> step, size_t at, const T *g, size_t n, const Scalars<T> &s) {
    step(t.w + at, t.u ? t.u + at : nullptr, t.v ? t.v + at : nullptr, g, n, s);
}

// Rows whose gradient is zero: they move on by what the rule remembers.
template <class T> void step_at_rest(const Weights<T> &t, Step<T> step, size_t at, size_t to, const Scalars<T> &s) {
    static const T zeros[2048] = {};
    for (; at < to; at += std::size(zeros)) step_at(t, step, at, zeros, std::min(std::size(zeros), to - at), s);
}

// Every row of the table in [from, to).
template <class T>
void step_all(Columns<T> &c, size_t task, const Sparse<T> &x, const Weights<T> &t, Step<T> step, const Scalars<T> &s,
              size_t from, size_t to) {
    T *g = c.scratch(task);
    size_t row = from;
    for (size_t k = c.first_from(from); k < c.count() && c.name(k) < to; ++k) {
        if (t.u) step_at_rest(t, step, row * x.n_out, c.name(k) * x.n_out, s);
        c.gradient(g, k, x);
        step_at(t, step, c.name(k) * x.n_out, g, x.n_out, s);
        row = c.name(k) + 1;
    }
    if (t.u) step_at_rest(t, step, row * x.n_out, to * x.n_out, s);
}

template <class T> bool is_zero(const T *g, size_t n) {
    bool zero = true;
    for (size_t i = 0; i < n; ++i) zero &= g[i] == 0;
    return zero;
}

// The rows of those columns that occur, as far as they are this task's, where they have a gradient.
template <class T>
void step_some(Columns<T> &c, size_t task, size_t tasks, const Sparse<T> &x, const Weights<T> &t, Step<T> step,
               const Scalars<T> &s) {
    constexpr size_t AHEAD = 4;
    T *g = c.scratch(task);
    c.for_task(task, tasks, AHEAD, [&](size_t k, size_t later) {
        for (T *part : {t.w, t.u, t.v})
            if (part) fetch(part + c.name(later) * x.n_out, x.n_out * sizeof(T));
        c.gradient(g, k, x);
        if (!is_zero(g, x.n_out)) step_at(t, step, c.name(k) * x.n_out, g, x.n_out, s);
    });
}

// One update of the first layer's weights.
template <class T>
void update_table(Columns<T> &c, Pool &pool, const Sparse<T> &x, const Weights<T> &t, Step<T> step,
                  const Scalars<T> &s) {
    constexpr size_t WORTH = 8192;  // entries of the table that take longer than handing them to another thread
    size_t rows = t.lazy ? c.count() : x.d;
    size_t tasks = pool.threads() < 2 ? 1 : std::clamp(rows * x.n_out / WORTH, (size_t)1, Columns<T>::TASKS);
    pool.run((uint32_t)tasks, [&](uint32_t i) {
        if (t.lazy) step_some(c, i, tasks, x, t, step, s);
        else step_all(c, i, x, t, step, s, i * rows / tasks, (i + 1) * rows / tasks);
    });
}
