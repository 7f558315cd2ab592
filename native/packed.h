// Dense rows that are mostly zeros, with their other entries found once for many passes: fewer bytes to come from far away
// in every step, and nothing to be looked for. Whoever keeps them promises that the rows stay as they are.
//
// A row is kept as its values, bytes or numbers as they lie in the data set, and behind them their places of 2 bytes.
#pragma once
#include "memory.h"
#include "pool.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

class PackedRows {
  public:
    struct Row {
        const char *values;
        uint32_t count;
    };

    static constexpr size_t MOST_COLUMNS = 1 << 16;  // whose places take 2 bytes

    // For rows (n, d) with values of `size` bytes.
    PackedRows(size_t n, size_t d, size_t size) : d_(d), size_(size), rows_(n) {}
    PackedRows(const PackedRows &) = delete;
    PackedRows &operator=(const PackedRows &) = delete;

    bool are_of(size_t n, size_t d, size_t size) const { return n == rows_.size() && d == d_ && size == size_; }
    const Row &row(size_t i) const { return rows_[i]; }
    const uint16_t *places(const Row &row) const { return (const uint16_t *)(row.values + places_at(row.count)); }
    size_t places_at(size_t count) const { return (count * size_ + 1) / 2 * 2; }  // behind so many values
    size_t bytes(size_t count) const { return places_at(count) + count * sizeof(uint16_t); }
    // about what rows take, each with so many entries
    static size_t bytes_of(size_t n, size_t count, size_t size) { return n * (sizeof(Row) + count * (size + 2)); }

    // Calls pack(room, i) for all rows, which writes row i as it is kept and returns how many entries that are. Returns
    // false where there is no memory for them, where those of a stretch have more than `most` entries on average, or where
    // goes_on() says so.
    template <class F, class G> bool fill(Pool &pool, size_t most, F &&pack, G &&goes_on) {
        size_t tasks = std::min((size_t)Pool::TASKS, rows_.size());
        stretches_.resize(tasks);
        std::atomic<bool> all{true};
        pool.run((uint32_t)tasks, [&](uint32_t i) {
            size_t from = i * rows_.size() / tasks, to = (i + 1) * rows_.size() / tasks;
            try {
                if (!all || !fill(stretches_[i], from, to, most, pack, goes_on)) all = false;
            } catch (const std::bad_alloc &) {
                all = false;
            }
        });
        return all;
    }

  private:
    size_t d_, size_;
    std::vector<Row> rows_;
    std::vector<Buffer<char>> stretches_;

    size_t room_of(size_t count) const { return (bytes(count) + 7) / 8 * 8; }  // values are numbers of up to 8 bytes

    template <class F, class G>
    bool fill(Buffer<char> &memory, size_t from, size_t to, size_t most, F &pack, G &goes_on) {
        constexpr size_t LOOK = 256;  // rows
        size_t room = 0, used = 0;
        for (size_t i = from; i < to; ++i) {
            if (i % LOOK == 0 && (used > (i - from + LOOK) * room_of(most) || !goes_on())) return false;
            if (used + room_of(d_) > room) {  // as much again for each row to come, and some more
                size_t later = i == from ? 0 : used / (i - from) * (to - i) + used / 8;
                Buffer<char> longer = buffer<char>(room = used + later + room_of(d_));
                if (used) std::memcpy(longer.get(), memory.get(), used);
                memory = std::move(longer);
            }
            rows_[i].count = (uint32_t)pack(memory.get() + used, i);
            used += room_of(rows_[i].count);
        }
        if (used > (to - from) * room_of(most)) return false;
        for (size_t i = from, at = 0; i < to; at += room_of(rows_[i].count), ++i) rows_[i].values = memory.get() + at;
        return true;
    }
};
