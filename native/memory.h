// Memory on cache lines of its own, and early fetches of it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

constexpr size_t LINE = 64;  // bytes of a cache line

struct Free {
    void operator()(void *p) const { ::operator delete(p, std::align_val_t(LINE)); }
};
template <class T> using Buffer = std::unique_ptr<T[], Free>;
template <class T> Buffer<T> buffer(size_t count) {
    return Buffer<T>((T *)::operator new(std::max(count, (size_t)1) * sizeof(T), std::align_val_t(LINE)));
}

inline void fetch(const void *start, size_t bytes) {
#if defined(__GNUC__)
    for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch((const char *)start + at);
    asm volatile("");  // without an effect that it knows of, the compiler drops calls of whoever does nothing but fetch
#else
    (void)start, (void)bytes;
#endif
}
