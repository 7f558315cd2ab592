// Sparse rows in the first layer: what a step costs follows the entries that are stored, not the number of columns.
//
// The rows meet W (d, n_out) alone; biases and all further layers are a network of their own, whose first layer has no
// inputs but its pre-activations given. X (n, d) sparse rows of the batch, D (n, n_out) the gradient in the first
// layer's pre-activations: T = X W + b row by row, and dW = X^T D column by column, each in the batch's order, so that
// no sum depends on how the work is shared. Columns that do not occur are not looked at.
#pragma once
#include "compact.h"
#include "kernels.h"
#include "memory.h"
#include "pool.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

// All rows of a data set, and what the batch at hand makes of them.
template <class T> struct Sparse {
    const int64_t *starts;
    const int32_t *columns;
    const T *values;
    size_t d, n_out;
    const T *W;
    bool lazy;  // a rule leaves alone the rows of W that have no gradient
    Compact<T> *compact;  // of that rule's vectors, or null
    T *D;                 // of the whole batch
};

// The first layer's weights and slots as a rule changes them.
template <class T> struct Weights {
    T *w, *u, *v;

    Weights from(size_t at) const { return {w + at, u ? u + at : nullptr, v ? v + at : nullptr}; }
};

// Parts of a batch's columns that are found at the same time. For a rule that goes through the whole table they are to
// ascend, in one.
constexpr size_t COLUMN_PARTS = 2;
template <class T> size_t parts_of(const Sparse<T> &s) { return s.lazy ? COLUMN_PARTS : 1; }

template <class T> void fetch_entries(const Sparse<T> &s, size_t row) {
    fetch(s.columns + s.starts[row], LINE), fetch(s.values + s.starts[row], LINE);
}

// The entries of one batch by columns, or a part of them, and within a column in the batch's order. Columns ascend, or
// where only those are stepped that occur they lie by the tasks that take them.
template <class T> class Columns {
  public:
    static constexpr size_t TASKS = Pool::TASKS;  // that share an update, at most

    void reserve(size_t entries, size_t n_out) {
        if (entries > capacity_ || !table_) {
            capacity_ = 0;  // should there be no memory for more
            bits_ = 4;
            while ((size_t)1 << bits_ < 2 * entries) ++bits_;
            table_ = buffer<int32_t>((size_t)1 << bits_), found_ = buffer<Entry>(entries + 1);
            groups_ = buffer<Group>(entries), sorted_ = buffer<Column>(entries), spare_ = buffer<Column>(entries);
            rows_ = buffer<int32_t>(entries), values_ = buffer<T>(entries), begins_ = buffer<size_t>(entries + 1);
            capacity_ = entries;
        }
        if (n_out > width_) sums_ = buffer<T>(TASKS * n_out), width_ = n_out;
        beside_ = 0;
        while ((n_out * sizeof(T)) << beside_ < 2 * LINE) ++beside_;
    }

    void sort(const Sparse<T> &s, const int64_t *order, size_t n, size_t part) {
        size_t size = take_entries(s, order, n, part);
        find(size, s.compact);
        for (size_t k = 0; k < count_; ++k) {
            int32_t name = groups_[k].name;
            sorted_[k] = {name, (int32_t)k, s.compact ? s.compact->place((size_t)name) : -1};
        }
        if (s.lazy) share_out();
        else ascend(s.d);
        size_t at = 0;
        for (size_t k = 0; k < count_; ++k) {
            begins_[k] = at;
            size_t &next = groups_[sorted_[k].group].size;
            at += std::exchange(next, at);
        }
        begins_[count_] = size;
        for (size_t e = 0; e < size; ++e) {
            size_t to = groups_[found_[e].group].size++;
            rows_[to] = found_[e].row, values_[to] = found_[e].value;
        }
    }

    size_t count() const { return count_; }
    size_t name(size_t k) const { return (size_t)sorted_[k].name; }
    // Where the rule's weights and vectors for a column begin.
    Weights<T> row(size_t k, const Weights<T> &t, const Sparse<T> &s) const {
        int32_t place = sorted_[k].place;
        if (place < 0) return t.from(name(k) * s.n_out);
        size_t at = (size_t)place * s.n_out;
        return {t.w + name(k) * s.n_out, s.compact->near_u + at, s.compact->near_v + at};
    }
    size_t first_from(size_t column) const {
        auto before = [](const Column &c, size_t limit) { return (size_t)c.name < limit; };
        return (size_t)(std::lower_bound(sorted_.get(), sorted_.get() + count_, column, before) - sorted_.get());
    }
    // Calls f(k, that of `later` calls on) for the columns that task i of `tasks` takes where only those are stepped that
    // occur.
    template <class F> void for_task(size_t i, size_t tasks, size_t later, F &&f) const {
        size_t end = shares_[(i + 1) * TASKS / tasks];
        for (size_t k = shares_[i * TASKS / tasks]; k < end; ++k) f(k, std::min(k + later, end - 1));
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
        int32_t name, group, row;
        T value;
    };
    // What was found of a column: its number and how many entries it has; then where the next of them goes.
    struct Group {
        int32_t name;
        size_t size;
    };
    struct Column {
        int32_t name, group, place;
    };

    Buffer<int32_t> table_, rows_;  // table_: groups by their columns, -1 where there is none
    Buffer<Entry> found_;
    Buffer<Group> groups_;
    Buffer<Column> sorted_, spare_;
    size_t shares_[TASKS + 1] = {};
    Buffer<T> values_, sums_;
    Buffer<size_t> begins_;
    int bits_ = 0;  // of a place in table_, of which at most half is taken
    int beside_ = 0;  // so many last bits of their numbers do not tell columns apart that one task takes
    size_t capacity_ = 0, width_ = 0, count_ = 0;

    // The first `bits` of a number without the pattern that the given one may follow.
    static size_t mixed(size_t number, int bits) { return (uint32_t)number * 0x9e3779b1u >> (32 - bits); }

    // The columns' numbers say which task takes them, so that each thread meets its own rows again, and frequent ones stand
    // between rare ones, whose weights come from far away. Rows of the table that are shorter than cache lines stay together.
    size_t task_of(size_t name) const {
        static_assert(TASKS == 32, "so many numbers have five bits");
        return mixed(name >> beside_, 5);
    }

    // Takes the entries of the columns of a part; returns how many there are.
    size_t take_entries(const Sparse<T> &s, const int64_t *order, size_t n, size_t part) {
        constexpr size_t AHEAD = 4;
        size_t size = 0, parts = parts_of(s);
        for (size_t i = 0; i < n; ++i) {
            size_t row = order ? (size_t)order[i] : i;
            if (i + AHEAD < n) fetch_entries(s, order ? (size_t)order[i + AHEAD] : i + AHEAD);
            for (int64_t e = s.starts[row]; e < s.starts[row + 1]; ++e) {
                found_[size] = {s.columns[e], 0, (int32_t)i, s.values[e]};
                size += task_of((size_t)s.columns[e]) * parts / TASKS == part;
            }
        }
        return size;
    }

    // Finds the columns that occur, in the order in which they do.
    void find(size_t size, const Compact<T> *compact) {
        size_t places = (size_t)1 << bits_;
        std::fill_n(table_.get(), places, -1);
        count_ = 0;
        for (size_t e = 0; e < size; ++e) {
            found_[e].group = group_of(found_[e].name, places, compact);
            ++groups_[found_[e].group].size;
        }
    }

    int32_t group_of(int32_t name, size_t places, const Compact<T> *compact) {
        size_t at = mixed((size_t)name, bits_);
        for (; table_[at] >= 0; at = (at + 1) & (places - 1))
            if (groups_[table_[at]].name == name) return table_[at];
        if (compact) compact->fetch_place((size_t)name);
        groups_[count_] = {name, 0};
        return table_[at] = (int32_t)count_++;
    }

    // Sorts the columns by a digit below N of their numbers, stable; returns where the columns of each digit end.
    template <size_t N, class F> std::array<size_t, N> sort_by(F &&digit) {
        std::array<size_t, N> ends{};
        for (size_t k = 0; k < count_; ++k) ++ends[digit((size_t)sorted_[k].name)];
        size_t at = 0;
        for (size_t &end : ends) at += std::exchange(end, at);
        for (size_t k = 0; k < count_; ++k) spare_[ends[digit((size_t)sorted_[k].name)]++] = sorted_[k];
        std::swap(sorted_, spare_);
        return ends;
    }

    void ascend(size_t d) {
        constexpr int BITS = 11;
        constexpr size_t DIGITS = (size_t)1 << BITS;
        for (int shift = 0; shift < 32 && (d - 1) >> shift; shift += BITS)
            sort_by<DIGITS>([shift](size_t name) { return (name >> shift) & (DIGITS - 1); });
    }

    void share_out() {
        auto ends = sort_by<TASKS>([this](size_t name) { return task_of(name); });
        std::copy(ends.begin(), ends.end(), shares_ + 1);
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

// One step of a rule on the first n entries of these.
template <class T> void step_weights(const Weights<T> &t, Step<T> step, const T *g, size_t n, const Scalars<T> &s) {
    step(t.w, t.u, t.v, g, n, s);
}

// Rows whose gradient is zero: they move on by what the rule remembers.
template <class T> void step_at_rest(const Weights<T> &t, Step<T> step, size_t at, size_t to, const Scalars<T> &s) {
    static const T zeros[2048] = {};
    for (; at < to; at += std::size(zeros)) step_weights(t.from(at), step, zeros, std::min(std::size(zeros), to - at), s);
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
        step_weights(t.from(c.name(k) * x.n_out), step, g, x.n_out, s);
        row = c.name(k) + 1;
    }
    if (t.u) step_at_rest(t, step, row * x.n_out, to * x.n_out, s);
}

template <class T> bool is_zero(const T *g, size_t n) {
    return std::all_of(g, g + n, [](T entry) { return entry == 0; });
}

// The rows of those columns that occur, as far as they are this task's, where they have a gradient.
template <class T>
void step_some(Columns<T> &c, size_t task, size_t tasks, const Sparse<T> &x, const Weights<T> &t, Step<T> step,
               const Scalars<T> &s) {
    constexpr size_t AHEAD = 4;
    T *g = c.scratch(task);
    c.for_task(task, tasks, AHEAD, [&](size_t k, size_t later) {
        Weights<T> soon = c.row(later, t, x);
        for (T *vector : {soon.w, soon.u, soon.v})
            if (vector) fetch(vector, x.n_out * sizeof(T));
        c.gradient(g, k, x);
        if (!is_zero(g, x.n_out)) step_weights(c.row(k, t, x), step, g, x.n_out, s);
    });
}

// One update of the first layer's weights; `columns` are the parts of the batch's.
template <class T>
void update_table(Columns<T> *columns, Pool &pool, const Sparse<T> &x, const Weights<T> &t, Step<T> step,
                  const Scalars<T> &s) {
    constexpr size_t WORTH = 8192;  // entries of the table that take longer than handing them to another thread
    size_t rows = x.lazy ? 0 : x.d;
    for (size_t part = 0; x.lazy && part < COLUMN_PARTS; ++part) rows += columns[part].count();
    size_t threads = (size_t)pool.threads(), each = rows * x.n_out / WORTH / threads;  // tasks of a thread: equally many
    size_t tasks = threads < 2 ? 1 : std::clamp(each * threads, (size_t)1, Columns<T>::TASKS);
    pool.run((uint32_t)tasks, [&](uint32_t i) {
        if (!x.lazy) return step_all(*columns, i, x, t, step, s, i * rows / tasks, (i + 1) * rows / tasks);
        for (size_t part = 0; part < COLUMN_PARTS; ++part) step_some(columns[part], i, tasks, x, t, step, s);
    });
}
