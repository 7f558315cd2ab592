#include "pool.h"

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <utility>

#ifdef _WIN32
#include <process.h>
#define getpid _getpid
#else
#include <unistd.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

// How long a thread waits actively: longer than the wait between two short phases takes, and behind a long one up to a
// part of it, by which threads end apart; to be woken takes longer than that. Beside busy processes, whoever waits longer
// keeps a core from a helper that has lost its own.
constexpr std::chrono::nanoseconds PATIENCE{30000};
constexpr int PART = 16;
constexpr std::chrono::nanoseconds MOST_PATIENCE{2000000};  // nor is a core to be kept busy behind phases of seconds

// Then it waits on for LONGER where that is worth it: threads whose cores others slow down now and then end some 100 us
// apart, and a sleep costs WAKING, more than that on a virtual machine whose idle cores go back to the host. Beside a busy
// process it is not: who is waited for has then lost its core for longer than LONGER. So each wait that ended well adds to
// a sum what it has saved, and each that ended in sleep takes away what it has cost. While the sum is below 0 nobody waits
// on, and it grows by a PART_FOR_TRIES-th of the time, which is what waits that fail cost at most. MOST_WORTH says how soon
// a busy process is noticed.
constexpr std::chrono::nanoseconds LONGER{2000000}, WAKING{100000}, MOST_WORTH{4000000};
constexpr int PART_FOR_TRIES = 50;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#else
    std::this_thread::yield();
#endif
}

// Whether something happens within that time.
template <class F> bool soon(std::chrono::nanoseconds patience, F &&happens) {
    constexpr int LOOKS = 16;  // of some 20 ns, between looks at the clock
    for (auto end = Clock::now() + patience;;) {
        for (int i = 0; i < LOOKS; ++i) {
            if (happens()) return true;
            relax();
        }
        if (Clock::now() > end) return false;
    }
}

constexpr uint64_t PHASE = (uint64_t)1 << Pool::TASKS;

uint32_t unclaimed(uint64_t state) { return (uint32_t)state; }
uint32_t bits_below(uint32_t count) { return count < Pool::TASKS ? ((uint32_t)1 << count) - 1 : ~(uint32_t)0; }

// The tasks of one of the threads, a stretch of all.
uint32_t share_of(uint32_t thread, uint32_t threads, uint32_t tasks) {
    return bits_below((thread + 1) * tasks / threads) & ~bits_below(thread * tasks / threads);
}

uint32_t lowest(uint32_t bits) {
    uint32_t i = 0;
    while (!(bits >> i & 1)) ++i;
    return i;
}

}  // namespace

Pool::Pool(int helpers) : asked(helpers) {
    helpers_.reserve((size_t)helpers);
    try {
        for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this, i] { help((uint32_t)i + 1); });
    } catch (const std::exception &) {
        // the system gives no more threads, or no memory for them: those there are will do
    }
}

Pool::~Pool() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    work_.notify_all();
    for (auto &helper : helpers_) helper.join();
}

void Pool::phase(uint32_t tasks, Call call, void *given) {
    auto begun = Clock::now();
    call_.store(call, std::memory_order_relaxed);
    given_.store(given, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    uint64_t next = (state_.load() / PHASE + 1) * PHASE;
    state_.store(next | bits_below(tasks));  // sequentially consistent, as is the count of sleepers
    if (sleepers_.load()) {
        std::lock_guard<std::mutex> lock(mutex_);
        work_.notify_all();
    }
    while (claim_one(0)) {
    }
    wait_for_end(tasks);
    patience_.store(std::clamp(std::chrono::nanoseconds(Clock::now() - begun) / PART, PATIENCE, MOST_PATIENCE));
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

bool Pool::claimable() const { return unclaimed(state_.load()); }

bool Pool::claim_one(uint32_t thread) {
    uint64_t state = state_.load();
    while (unclaimed(state)) {
        Call call = call_.load(std::memory_order_relaxed);  // of this phase if the exchange succeeds, as are the others
        void *given = given_.load(std::memory_order_relaxed);
        uint32_t tasks = tasks_.load(std::memory_order_relaxed);
        uint32_t own = unclaimed(state) & share_of(thread, (uint32_t)threads(), tasks);
        uint32_t i = lowest(own ? own : unclaimed(state));
        if (!state_.compare_exchange_weak(state, state & ~((uint64_t)1 << i))) continue;
        try {
            call(given, i);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
        }
        if (done_.fetch_add(1) + 1 == tasks && caller_sleeps_.load()) {
            std::lock_guard<std::mutex> lock(mutex_);
            end_.notify_one();
        }
        return true;
    }
    return false;
}

void Pool::help(uint32_t thread) {
    std::fesetenv(FE_DFL_ENV);  // not that of whoever made the pool: no bit is to depend on which thread does a task
    while (!stop_.load(std::memory_order_relaxed)) {
        if (!claim_one(thread)) wait_for_work();
    }
}

template <class F> bool Pool::comes(F &&happens) {
    if (soon(patience_.load(), happens)) return true;
    if (!watch.load()) return false;
    // two threads may add at once and one of the figures be lost: they are estimates
    auto add = [this](std::chrono::nanoseconds worth) { worth_.store(std::min(worth_.load() + worth, MOST_WORTH)); };
    auto now = Clock::now();
    if (worth_.load() < std::chrono::nanoseconds(0)) {
        add(std::min((now - since_.exchange(now)) / PART_FOR_TRIES, LONGER));
        return false;
    }
    bool came = soon(LONGER, happens);
    if (came) add(WAKING);
    else if (watch.load()) add(-LONGER), since_.store(now);  // otherwise the call was over, which tells nothing
    return came;
}

void Pool::wait_for_work() {
    if (comes([this] { return claimable() || stop_.load(std::memory_order_relaxed); })) return;
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1);
    work_.wait(lock, [this] { return claimable() || stop_.load(); });
    sleepers_.fetch_sub(1);
}

void Pool::wait_for_end(uint32_t tasks) {
    if (comes([&] { return done_.load() == tasks; })) return;
    std::unique_lock<std::mutex> lock(mutex_);
    caller_sleeps_ = true;
    while (!end_.wait_for(lock, Watch::EVERY, [&] { return done_.load() == tasks; })) {
        lock.unlock();  // to ask takes the interpreter's lock
        if (Watch *asked = watch.load()) asked->look();
        lock.lock();
    }
    caller_sleeps_ = false;
}

namespace {

std::atomic<bool> taken{false};
Pool *shared = nullptr;
long owner = 0;

Pool &alone() {
    static Pool none(0);
    return none;
}

// Never destroyed in a child of fork: its threads are not there to be joined. Nor at exit, where a helper may still be
// asleep: the process takes it along.
Pool *pool_of(int threads) {
    long here = (long)getpid();
    if (owner != here) shared = nullptr;
    if (shared && shared->asked != threads - 1) {
        delete shared;
        shared = nullptr;
    }
    if (!shared) shared = new Pool(threads - 1);
    owner = here;
    return shared;
}

}  // namespace

PoolLease::PoolLease(int threads, Watch &watch) : pool_(&alone()) {
    if (threads < 2) return;
    if (owner != (long)getpid()) taken = false;  // whoever held it at the fork is not in this process
    if (taken.exchange(true)) return;
    try {
        pool_ = pool_of(threads);
    } catch (...) {
        taken = false;
        throw;
    }
    leased_ = true;
    pool_->watch = &watch;
}

PoolLease::~PoolLease() {
    if (!leased_) return;
    pool_->watch = nullptr;
    taken = false;
}
