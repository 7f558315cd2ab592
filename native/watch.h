// Whether whoever called wants to be let go: looked at between two layers, and between the parts of a large product.
#pragma once
#include "blas.h"
#include "calls.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

enum class Answer { go_on, stop, never_ask_again };

class Watch {
    using Clock = std::chrono::steady_clock;

  public:
    static constexpr std::chrono::milliseconds EVERY{30};

    explicit Watch(Answer (*ask)()) : ask_(ask), caller_(std::this_thread::get_id()), next_(Clock::now() + EVERY) {}
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

    bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

    // Whether to stop. For all threads; the caller's alone asks, and now and then only: some 30 ns.
    bool look() {
        if (stopped()) return true;
        if (std::this_thread::get_id() != caller_ || Clock::now() < next_) return false;
        Calls::stay_if_over();
        Answer answer = asks_ ? ask_() : Answer::go_on;
        asks_ = asks_ && answer != Answer::never_ask_again;
        next_ = Clock::now() + EVERY;
        stopped_.store(answer == Answer::stop, std::memory_order_relaxed);
        return answer == Answer::stop;
    }

  private:
    Answer (*ask_)();
    std::thread::id caller_;
    Clock::time_point next_;  // the caller's, as the following
    bool asks_ = true;
    std::atomic<bool> stopped_{false};
};

// C <- op(A) op(B), cut in halves along its longest side where it takes long, and left unfinished once told to stop. What
// is cut follows from the shape alone, and so do the bits.
template <class T> void multiply(T *C, const T *A, const T *B, const Product &p, Watch &watch) {
    constexpr int64_t MOST = 500000000;  // multiply-adds: some 5 to 50 ms
    if (p.m * p.n * p.k <= MOST) return multiply(C, A, B, p);
    int64_t longest = std::max({p.m, p.n, p.k}), cut = (longest / 2 + 63) / 64 * 64;
    bool by_m = longest == p.m, by_n = !by_m && longest == p.n;
    Product first = p, rest = p;
    (by_m ? first.m : by_n ? first.n : first.k) = cut;
    (by_m ? rest.m : by_n ? rest.n : rest.k) -= cut;
    rest.adds = p.adds || !(by_m || by_n);
    multiply(C, A, B, first, watch);
    if (watch.look()) return;
    if (!by_n) A += by_m == p.trans_a ? cut * p.lda : cut;
    if (!by_m) B += by_n == p.trans_b ? cut : cut * p.ldb;
    T *into = C + (by_m ? cut : by_n ? cut * p.ldc : 0);
    multiply(into, A, B, rest, watch);
}
