// The vectors of a lazy rule, kept short; optim/compact.py.
#pragma once
#include "memory.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Rows of a lazy rule's two vectors that have a place of their own, side by side in the order in which steps met them: in
// a wide table they lie so far apart that nearly each takes a page of memory. A row without a place is in the table.
template <class T> struct Compact {
    int32_t *places;  // of each row of the table, -1 for none
    T *near_u, *near_v;
    const T *u, *v;  // the tables
    size_t width, room;
    int64_t *count;            // places that are taken, and whether a row got none for want of room
    std::atomic<size_t> used;  // more than `room` then

    Compact(int32_t *places, T *near_u, T *near_v, const T *u, const T *v, size_t width, size_t room, int64_t *count)
        : places(places), near_u(near_u), near_v(near_v), u(u), v(v), width(width), room(room), count(count),
          used((size_t)count[0]) {}
    ~Compact() {
        count[1] |= used.load() > room;
        count[0] = (int64_t)std::min(used.load(), room);
    }
    Compact(const Compact &) = delete;
    Compact &operator=(const Compact &) = delete;

    void fetch_place(size_t row) const { fetch(places + row, sizeof(int32_t)); }

    // The place of a row, which is given one where there is room. Threads ask for different rows.
    int32_t place(size_t row) {
        if ((uint32_t)places[row] < room) return places[row];
        if (used.load(std::memory_order_relaxed) > room) return -1;
        size_t at = used.fetch_add(1, std::memory_order_relaxed);
        if (at >= room) return -1;
        std::memcpy(near_u + at * width, u + row * width, width * sizeof(T));
        std::memcpy(near_v + at * width, v + row * width, width * sizeof(T));
        return places[row] = (int32_t)at;
    }
};
