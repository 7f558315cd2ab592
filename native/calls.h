// The calls that are running, for the end of the process: a thread that comes back from one when the interpreter is gone
// is ended by it in the middle of C++, and the whole process with it. So the end waits for those that run, and threads
// that look up after it has begun stay where they are.
#pragma once
#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <thread>

class Calls {
  public:
    // One call, as long as it lives. To be made and ended with the interpreter's lock held.
    class One {
      public:
        One() {
            if (is_over()) {
                nanobind::gil_scoped_release unlocked;
                stay();
            }
            ++running();
        }
        ~One() { --running(); }
        One(const One &) = delete;
        One &operator=(const One &) = delete;
    };

    // For a thread in a call, without the lock: does not return once the end has begun.
    static void stay_if_over() {
        if (!is_over()) return;
        --running();
        stay();
    }

    // Returns when no call runs, or when one has not looked up for long. For the thread that ends the process.
    static void end() {
        constexpr std::chrono::seconds LONG{10};
        ender() = std::this_thread::get_id();
        ending() = true;
        nanobind::gil_scoped_release unlocked;  // the calls may want to ask Python
        auto last = std::chrono::steady_clock::now() + LONG;
        while (running() > 0 && std::chrono::steady_clock::now() < last) nap();
    }

    // In a child of fork the threads of these calls are not there.
    static void forget() { running() = 0; }

  private:
    static std::atomic<int> &running() {
        static std::atomic<int> count{0};
        return count;
    }
    static std::atomic<bool> &ending() {
        static std::atomic<bool> begun{false};
        return begun;
    }
    static std::thread::id &ender() {
        static std::thread::id thread;
        return thread;
    }
    static bool is_over() { return ending() && std::this_thread::get_id() != ender(); }
    static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }
    [[noreturn]] static void stay() {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
};
