// Helper threads for one caller at a time. A phase is a number of tasks that threads claim one by one; the caller claims
// too, so a helper that the system keeps waiting delays nothing but a task it holds. Each thread begins with its own
// share of the tasks, the same in every phase: what it left in its core's cache is there when the next phase needs it.
// Idle helpers spin for a while that follows from the last phase and from what waiting has brought so far, then sleep: a
// busy machine is not made busier, and a caller without helpers does all the work itself.
#pragma once
#include "watch.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

class Pool {
  public:
    explicit Pool(int helpers);
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    const int asked;  // helpers; the system may have given fewer
    int threads() const { return (int)helpers_.size() + 1; }

    static constexpr uint32_t TASKS = 32;  // of a phase, at most

    // Calls f(0), ..., f(tasks - 1), in any order and on any thread; returns when all are done, or throws what the first of
    // them threw.
    template <class F> void run(uint32_t tasks, F &&f) {
        if (tasks < 2 || helpers_.empty()) {
            for (uint32_t i = 0; i < tasks; ++i) f(i);
            return;
        }
        phase(tasks, [](void *given, uint32_t i) { (*static_cast<std::remove_reference_t<F> *>(given))(i); }, &f);
    }

    // Looked at while the caller waits for helpers. The caller's: null while there is none.
    std::atomic<Watch *> watch{nullptr};

  private:
    using Call = void (*)(void *, uint32_t);
    void phase(uint32_t tasks, Call call, void *given);
    void help(uint32_t thread);
    bool claim_one(uint32_t thread);
    bool claimable() const;
    template <class F> bool comes(F &&happens);  // while the thread waits actively
    void wait_for_work();
    void wait_for_end(uint32_t tasks);

    // phase number (32 bits), a bit for each unclaimed task (32): one word, so that a late claim for a phase that is over
    // cannot succeed
    std::atomic<uint64_t> state_{0};
    std::atomic<uint32_t> done_{0}, tasks_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<std::chrono::nanoseconds> patience_{std::chrono::nanoseconds(0)};
    // what waiting on has saved so far, less what it has cost; below 0, since when time has not been counted towards it
    std::atomic<std::chrono::nanoseconds> worth_{std::chrono::nanoseconds(0)};
    std::atomic<std::chrono::steady_clock::time_point> since_{std::chrono::steady_clock::time_point()};
    std::atomic<bool> caller_sleeps_{false}, stop_{false};
    std::atomic<Call> call_{nullptr};
    std::atomic<void *> given_{nullptr};
    std::exception_ptr error_;  // of a task; under the mutex until all are done
    std::mutex mutex_;
    std::condition_variable work_, end_;
    std::vector<std::thread> helpers_;
};

// Holds the process's pool while it lives, or none where another caller has it, or `threads` is 1. To be made with the
// interpreter's lock held; the pool is made anew when `threads` changes and in a child of fork, which has no helpers.
class PoolLease {
  public:
    PoolLease(int threads, Watch &watch);
    ~PoolLease();
    PoolLease(const PoolLease &) = delete;
    PoolLease &operator=(const PoolLease &) = delete;
    Pool &pool() { return *pool_; }

  private:
    Pool *pool_;
    bool leased_ = false;
};
