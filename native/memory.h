// Memory on cache lines of its own, and early fetches of it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

constexpr size_t LINE = 64;  // bytes of a cache line

struct Free {
    std::align_val_t align{LINE};
    void operator()(void *p) const { ::operator delete(p, align); }
};
template <class T> using Buffer = std::unique_ptr<T[], Free>;

// Room for so many entries. Much of it begins on a large page, and Linux is asked for such pages: handing out small ones
// takes a step's time and more.
template <class T> Buffer<T> buffer(size_t count) {
    constexpr size_t LARGE = 2 << 20;  // bytes of a large page
    size_t bytes = std::max(count, (size_t)1) * sizeof(T);
    std::align_val_t align{bytes < LARGE ? LINE : LARGE};
    void *p = ::operator new(bytes, align);
#if defined(MADV_HUGEPAGE)
    if (bytes >= LARGE) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return Buffer<T>((T *)p, Free{align});
}

// Memory that is kept between calls, handed out array by array, each on a cache line of its own.
class Arena {
  public:
    // Calls lay(arena) twice: to count, when what it takes is null, and to place.
    template <class F> void lay_out(F &&lay) {
        base_ = nullptr, used_ = 0;
        lay(*this);
        if (used_ > size_) memory_ = buffer<char>(used_), size_ = used_;
        base_ = memory_.get(), used_ = 0;
        lay(*this);
    }
    template <class T> T *take(size_t count) {
        char *at = base_ ? base_ + used_ : nullptr;
        used_ += (count * sizeof(T) + LINE - 1) / LINE * LINE;
        return (T *)at;
    }

  private:
    Buffer<char> memory_;
    char *base_ = nullptr;
    size_t size_ = 0, used_ = 0;
};

// Room for so many entries that the calling thread keeps: the next to ask gets the same.
template <class T> T *room_of_thread(size_t count) {
    static thread_local Buffer<char> room;
    static thread_local size_t size = 0;
    if (count * sizeof(T) > size) {
        size = 0;  // should there be no memory for more
        room = buffer<char>(count * sizeof(T));
        size = count * sizeof(T);
    }
    return (T *)room.get();
}

inline void fetch(const void *start, size_t bytes) {
#if defined(__GNUC__)
    for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch((const char *)start + at);
    asm volatile("");  // without an effect that it knows of, the compiler drops calls of whoever does nothing but fetch
#else
    (void)start, (void)bytes;
#endif
}
