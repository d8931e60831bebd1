#include "threads.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace sod {
namespace {

// A thread without work looks for it this long before it sleeps: to be woken takes as long as a small kernel, or two, and the next
// one is there before. Longer, and tools, servers and other programs miss the core.
constexpr auto patience = std::chrono::microseconds(300);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether `ready` comes to hold while it is worth to stay awake.
template <typename F>
bool spinUntil(F&& ready) {
  const auto end = std::chrono::steady_clock::now() + patience;
  do {
    for (int i = 0; i < 16; i++) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

thread_local bool insidePiece = false;

// How a helper shares its core with another program: it works in short stretches and sleeps in between. The system would leave it
// about as much of the time, but would take the core away in the middle of a piece, for which all others then wait.
class Pace {
 public:
  void begin() {
    began_ = Clock::now();
    computed_ = computed();
  }

  // Between two pieces.
  void rest() {
    const auto now = Clock::now();
    if (now - began_ < stretch) return;
    if ((now - began_) - (computed() - computed_) > loss) {
      losses_ = now - lost_ < moment ? losses_ + 1 : 1;
      lost_ = now;
      if (losses_ >= 3) sharedUntil_ = now + memory;
    }
    if (now < sharedUntil_) std::this_thread::sleep_for(nap);
    begin();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto stretch = std::chrono::microseconds(400), nap = std::chrono::microseconds(1200);
  // So long without the core is no interrupt; again and again within moments, it is another program, which stays for a while.
  static constexpr auto loss = std::chrono::milliseconds(1), moment = std::chrono::milliseconds(30), memory = std::chrono::milliseconds(1000);

  // The time that this thread has had a core.
  static std::chrono::nanoseconds computed() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  Clock::time_point began_, lost_, sharedUntil_;
  int losses_ = 0;
  std::chrono::nanoseconds computed_;
};

// The loop that one thread has under way. Its ticket is the loop's number and its next piece: who changes it from one piece to the
// next has taken that piece. Loop numbers do not come again, and no piece can be taken while the fields are written, so a helper
// that comes late takes nothing.
class Loop {
 public:
  void open(i64 count, Piece piece, void* context, int helpers) {
    count_.store(count, std::memory_order_relaxed);
    piece_.store(piece, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    mostHelpers_.store(helpers, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    ticket_.store(++number_ << pieceBits);
  }

  bool hasWork() const {
    return i64(ticket_.load() & closed) < count_.load(std::memory_order_relaxed) && helpers_.load() < mostHelpers_.load(std::memory_order_relaxed);
  }

  // Takes a piece and does it; false where none is left.
  bool step() {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (true) {
      const i64 next = ticket & closed, count = count_.load(std::memory_order_relaxed);
      const Piece piece = piece_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (next >= count) return false;
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      run(piece, context, next);
      if (finished_.fetch_add(1) + 1 == count && asleep_.load()) {
        std::lock_guard guard(mutex_);
        over_.notify_one();
      }
      return true;
    }
  }

  void help(Pace& pace) {
    if (helpers_.fetch_add(1) < mostHelpers_.load(std::memory_order_relaxed))
      while (step()) pace.rest();
    helpers_.fetch_sub(1);
  }

  // Waits for the pieces that others have taken, then throws what the first of them threw. It sleeps rather than spins for long: a
  // helper without a core of its own may get this one.
  void close() {
    const auto over = [&] { return finished_.load() == count_.load(std::memory_order_relaxed); };
    if (!spinUntil(over)) {
      asleep_.store(true);
      std::unique_lock guard(mutex_);
      over_.wait(guard, over);
      asleep_.store(false);
    }
    ticket_.store((number_ << pieceBits) | closed, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    if (std::exception_ptr error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
  }

 private:
  void run(Piece piece, void* context, i64 index) {
    insidePiece = true;
    try {
      piece(context, index);
    } catch (...) {
      std::lock_guard guard(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    insidePiece = false;
  }

  static constexpr int pieceBits = 32;
  static constexpr uint64_t closed = (uint64_t(1) << pieceBits) - 1;

  std::atomic<uint64_t> ticket_{closed};
  uint64_t number_ = 0;
  std::atomic<i64> count_{0}, finished_{0};
  std::atomic<Piece> piece_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int> helpers_{0}, mostHelpers_{0};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable over_;
  std::exception_ptr error_;
};

// The helpers of the whole process and the loops of all its threads. It is never taken down: helpers are in it until the end.
class Pool {
 public:
  static Pool& get() {
    static Pool& pool = *new Pool;
    return pool;
  }

  // A thread's loop goes to the next thread that asks when it ends.
  Loop& takeLoop() {
    std::lock_guard guard(mutex_);
    if (vacant_.empty()) {
      Loop* loop = new Loop;
      const int at = loopCount_.load();
      if (at == mostLoops) throw std::bad_alloc();
      loops_[at] = loop;
      loopCount_.store(at + 1);
      return *loop;
    }
    Loop* loop = vacant_.back();
    vacant_.pop_back();
    return *loop;
  }
  void giveLoop(Loop& loop) {
    std::lock_guard guard(mutex_);
    vacant_.push_back(&loop);
  }

  // Sees to it that `count` helpers are there, or as many as the system lets be.
  void grow(int count) {
    if (helperCount_.load() >= count) return;
    std::lock_guard guard(mutex_);
    try {
      for (; helperCount_.load() < count; helperCount_++) std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  // Wakes `count` helpers, where any sleep.
  void wake(int count) {
    if (sleepers_.load() == 0) return;
    std::lock_guard guard(mutex_);
    for (int i = 0; i < count; i++) work_.notify_one();
  }

 private:
  static constexpr int mostLoops = 1024;

  Loop* loopWithWork() const {
    for (int i = 0; i < loopCount_.load(); i++)
      if (loops_[i]->hasWork()) return loops_[i];
    return nullptr;
  }

  [[noreturn]] void help() {
    Pace pace;
    pace.begin();
    Loop* loop = nullptr;
    const auto found = [&] { return (loop = loopWithWork()) != nullptr; };
    while (true) {
      if (!spinUntil(found)) {
        std::unique_lock guard(mutex_);
        sleepers_++;
        work_.wait(guard, found);
        sleepers_--;
        pace.begin();
      }
      loop->help(pace);
    }
  }

  Loop* loops_[mostLoops];
  std::atomic<int> loopCount_{0}, helperCount_{0}, sleepers_{0};
  std::vector<Loop*> vacant_;
  std::mutex mutex_;
  std::condition_variable work_;
};

struct OwnLoop {
  Loop& loop = Pool::get().takeLoop();
  ~OwnLoop() { Pool::get().giveLoop(loop); }
};

thread_local int mostThreads = std::max(1u, std::thread::hardware_concurrency());

}  // namespace

int threadCount() { return mostThreads; }
void setThreadCount(int count) { mostThreads = count; }

void runPieces(i64 count, Piece piece, void* context) {
  const int helpers = int(std::min<i64>(count, mostThreads)) - 1;
  if (helpers == 0 || insidePiece) {
    for (i64 i = 0; i < count; i++) piece(context, i);
    return;
  }
  thread_local OwnLoop own;
  Pool::get().grow(helpers);
  own.loop.open(count, piece, context, helpers);
  Pool::get().wake(helpers);
  while (own.loop.step()) continue;
  own.loop.close();
}

}  // namespace sod
