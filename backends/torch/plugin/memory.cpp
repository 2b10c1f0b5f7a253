// Large tensors of runs: their memory stays with the process when they are gone, for the next run to use.
//
// libtorch gives the memory of every tensor back as soon as nobody refers to it, and the C library gives large pieces on to the
// system, which takes their pages away and clears new ones for the next run: for a batch of pictures that is more work than the
// convolutions. So pieces are kept here, as many bytes at the most as were lent at once; the one that was given back first goes
// first. What is smaller than a huge page, and what is made outside of runs, such as weights, is the C library's as before.
//
// A piece is lent, or kept, or the system's. It begins at a multiple of a huge page's size, so that for most pointers it is seen
// at once that they are no pieces. Nobody clears one: whoever makes a tensor without saying what is in it finds anything there.

#include "memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <new>
#include <vector>

namespace graphpiped {
namespace {

// Bytes of a huge page, on the machines that have them; a piece has a multiple of it.
constexpr size_t HUGE_PAGE = size_t{2} << 20;
// A piece is lent for at least so many quarters of its bytes: what fits worse is another run's.
constexpr size_t QUARTERS = 3;

// Fresh memory, or null. Pages that nobody has touched take none.
char *map(size_t bytes) {
    void *start = mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return nullptr;
    }
    auto *const mapped = static_cast<char *>(start);
    const size_t before = (HUGE_PAGE - reinterpret_cast<uintptr_t>(mapped) % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) {
        munmap(mapped, before);
    }
    munmap(mapped + before + bytes, HUGE_PAGE - before);
    // Where the system has none it says no, and small pages do as well.
    madvise(mapped + before, bytes, MADV_HUGEPAGE);
    return mapped + before;
}

class Pieces {
  public:
    // One of so many bytes at least, or null.
    char *lend(size_t wanted) {
        if (wanted > SIZE_MAX / 2) {
            return nullptr;
        }
        const size_t bytes = (wanted + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        const std::lock_guard<std::mutex> guard(lock);
        // Whoever gives a piece back must not need memory for that.
        lent.reserve(lent.size() + 1);
        kept.reserve(kept.size() + lent.size() + 1);
        Piece piece = take(bytes);
        if (piece.start == nullptr) {
            piece = {map(bytes), bytes};
        }
        if (piece.start == nullptr) {
            // What is kept may be in the way.
            trim(0);
            piece.start = map(bytes);
        }
        if (piece.start != nullptr) {
            lent.push_back(piece);
            lent_bytes += piece.bytes;
            lent_most = std::max(lent_most, lent_bytes);
        }
        return piece.start;
    }

    // Whether it was a piece, which is kept then.
    bool give_back(char *start) {
        if (reinterpret_cast<uintptr_t>(start) % HUGE_PAGE != 0) {
            return false;
        }
        const std::lock_guard<std::mutex> guard(lock);
        // Most live shortly.
        const auto found = std::find_if(lent.rbegin(), lent.rend(), [&](const Piece &one) { return one.start == start; });
        if (found == lent.rend()) {
            return false;
        }
        const Piece piece = *found;
        lent.erase(std::next(found).base());
        lent_bytes -= piece.bytes;
        kept.push_back(piece);
        kept_bytes += piece.bytes;
        trim(lent_most);
        return true;
    }

    void let_go() {
        const std::lock_guard<std::mutex> guard(lock);
        trim(0);
        lent_most = lent_bytes;
    }

    size_t all_kept() {
        const std::lock_guard<std::mutex> guard(lock);
        return kept_bytes;
    }

  private:
    struct Piece {
        char *start;
        size_t bytes;
    };

    // The smallest that fits, and is not much too large.
    Piece take(size_t bytes) {
        auto best = kept.end();
        for (auto piece = kept.begin(); piece != kept.end(); piece++) {
            const bool fits = piece->bytes >= bytes && piece->bytes / 4 * QUARTERS <= bytes;
            if (fits && (best == kept.end() || piece->bytes < best->bytes)) {
                best = piece;
            }
        }
        if (best == kept.end()) {
            return {nullptr, 0};
        }
        const Piece piece = *best;
        kept.erase(best);
        kept_bytes -= piece.bytes;
        return piece;
    }

    // Gives the system what has been here for the longest, until no more than so many bytes are kept.
    void trim(size_t most) {
        auto piece = kept.begin();
        for (; kept_bytes > most; piece++) {
            munmap(piece->start, piece->bytes);
            kept_bytes -= piece->bytes;
        }
        kept.erase(kept.begin(), piece);
    }

    std::mutex lock;
    std::vector<Piece> lent;
    // The one that was given back first stands first.
    std::vector<Piece> kept;
    size_t lent_bytes = 0;
    // The most that was lent at once, since all was let go.
    size_t lent_most = 0;
    size_t kept_bytes = 0;
};

// Never destroyed: tensors may be given back by whatever runs last.
Pieces &pieces() {
    static auto *const all = new Pieces;
    return *all;
}

// How many of OfRun live.
thread_local int of_run = 0;

void free_memory(void *start) {
    if (start != nullptr && !pieces().give_back(static_cast<char *>(start))) {
        c10::free_cpu(start);
    }
}

struct Memory final : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        void *start = of_run > 0 && bytes >= HUGE_PAGE ? pieces().lend(bytes) : nullptr;
        if (start == nullptr) {
            // It throws if there is none, in words that are known.
            start = c10::alloc_cpu(bytes);
        }
        return {start, start, free_memory, c10::Device(c10::DeviceType::CPU)};
    }

    c10::DeleterFnPtr raw_deleter() const override { return free_memory; }

    void copy_data(void *to, const void *from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

} // namespace

void provide_memory() {
    // Above libtorch's own, which has 0.
    c10::SetCPUAllocator(new Memory, 1);
}

OfRun::OfRun() { of_run++; }
OfRun::~OfRun() { of_run--; }

void let_go_of_memory() { pieces().let_go(); }

size_t kept_memory() { return pieces().all_kept(); }

} // namespace graphpiped
